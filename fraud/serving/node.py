"""What a prediction node does, free of any web framework: score, and take notices of promotions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from fraud.data.profile import Profile
from fraud.errors import FlagError, FraudError
from fraud.records import ModelVersion, Prediction
from fraud.serving.champion import Champion
from fraud.serving.predicting import InProcess
from fraud.serving.scorer import Explanation
from fraud.serving.updating import NodeReport, Updates
from fraud.serving.watch import TrafficWatch
from fraud.telemetry import UNOBSERVED, Observer
from fraud.webhooks.hub_event import read_hub_event
from fraud.webhooks.messages import model_change
from fraud.webhooks.received import ReceivedStore, Reception
from fraud.webhooks.signing import Headers, verify

_MODEL = "model"


@dataclass(frozen=True, slots=True)
class Senders:
    """Whom a node believes: secrets, current first, and the only repository on the Hub that it looks at."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    hub_secrets: tuple[str, ...] = field(default=(), repr=False)
    hub_repository: str | None = None


class PredictionNode:
    """Scores with the champion of a registry and follows its promotions.

    Parameters
    ----------
    champion : what scores
    updates : follows promotions behind the requests
    watch : told of every answer
    received : notices that came before
    senders : who may announce a promotion
    observer : told what happens and how long it took
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        champion: Champion,
        updates: Updates,
        watch: TrafficWatch,
        received: ReceivedStore,
        senders: Senders,
        *,
        observer: Observer = UNOBSERVED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._champion = champion
        self._predictor = InProcess(champion)
        self.updates = updates
        self._watch = watch
        self._received = received
        self._senders = senders
        self._observer = observer
        self._clock = clock
        self.notices: Counter[str] = Counter()

    @property
    def answers_at_once(self) -> bool:
        """Whether `score` computes here: always."""
        return True

    def score(
        self, transaction: Mapping[str, Any], history: object = None, *, keep: bool = False
    ) -> Prediction:
        """Return both models' answers for one raw transaction, both of one version.

        Raises
        ------
        TransactionError
            Naming the first field that breaks a rule.
        FlagError
            `keep`: a node keeps nothing.
        """
        if keep:
            raise FlagError(
                "A prediction node keeps nothing; send what is to be kept to the web application.",
                code="node_keeps_nothing",
                field="keep",
            )
        start, served = perf_counter(), self._champion.scorer.version
        try:
            prediction = self._predictor.predict(transaction, history, self._clock(), self._observer)
        except FraudError:
            raise  # what was sent is at fault, not the version
        except Exception:
            self._watch.note(served, perf_counter() - start, failed=True)
            self.updates.hurry()
            raise
        self._watch.note(prediction.model_version, perf_counter() - start, failed=False)
        decided = [(name, score.decision) for name, score in prediction.scores.items()]
        self._observer.predicted(decided, agree=prediction.agree)
        return prediction

    def explain(self, prediction: Prediction) -> dict[str, Explanation]:
        """Return both models' reasons, from the version that answered; NotFound if it serves no more."""
        return self._predictor.explain(prediction, self._observer)

    def receive(self, headers: Headers, body: bytes) -> Reception:
        """Take a signed notice; one that is new makes the node look for the promotion behind this call.

        Raises
        ------
        WebhookRefused
            It is forged, stale or no model event.
        StorageError
            It could not be remembered; its sender is to try again.
        """
        now = self._clock()
        message = verify(headers, body, self._senders.secrets, now)
        if message.topic != _MODEL:
            reception = self._received.accept(message, now)  # a ping, or another topic: nothing to do
            self.notices[reception.value] += 1
            return reception
        change = model_change(message)
        reception = self._received.accept(message, now)
        self.notices[reception.value] += 1
        if reception is Reception.FRESH:
            # What is lost in a crash from here on, the look at the next start finds.
            self.updates.announce(ModelVersion(change.version, change.revision, change.manifest_digest))
        return reception

    def receive_from_hub(self, headers: Headers, body: bytes) -> bool:
        """Take the Hub's own webhook; return whether it is about our models and so makes the node look.

        Raises
        ------
        WebhookRefused
            It does not carry our secret, or is not what the Hub sends.
        """
        change = read_hub_event(headers, body, self._senders.hub_secrets)
        ours = change.kind == "model" and change.repository == self._senders.hub_repository
        moved = ours and any(ref.revision is not None for ref in change.refs)
        self.notices["hub" if moved else "hub_ignored"] += 1
        if moved:
            self.updates.announce(None)
        return moved

    @property
    def model_version(self) -> ModelVersion:
        """What serves now."""
        return self._champion.scorer.version

    @property
    def model_problem(self) -> str | None:
        """What keeps the registry's champion from being served now; None if nothing does."""
        return self._champion.problem

    @property
    def profile(self) -> Profile:
        """The profile of what serves now."""
        return self._champion.scorer.bundle.profile

    @property
    def on_trial(self) -> bool:
        """Whether what serves is still compared with what served before."""
        return self._watch.on_trial

    def examples(self) -> Sequence[Mapping[str, Any]]:
        """Return [{"kind", "transaction"}, ...]: one transaction of each kind."""
        return list(self._champion.scorer.examples.get("examples", []))

    def report(self) -> NodeReport:
        """Return what serves, since when, and whether that is what the registry asks for."""
        return self.updates.report()

    def check(self) -> None:
        """Load what is to be served; raise what keeps the node from starting."""
        _ = self._champion.scorer

    def close(self) -> None:
        """Stop following promotions and let go of the files."""
        self.updates.stop()
        self._received.close()
