"""Scoring through prediction nodes: in turn, those that are well, once more at another where one fails.

A score changes nothing at a node, so sending one again is safe. None is ever sent to two nodes at once: under
load that would double the work just when there is too much of it.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any

import httpx2

from fraud.data.validate import validate_history, validate_transaction
from fraud.errors import NodesUnavailable, TransactionError
from fraud.ids import new_id
from fraud.records import MODELS, Decision, ModelVersion, Prediction, Reason, Score, Thresholds
from fraud.serving.champion import Champion
from fraud.serving.predicting import version_changed
from fraud.serving.scorer import Explanation
from fraud.telemetry import UNOBSERVED, Observer, Stopwatch

_log = logging.getLogger(__name__)
ATTEMPTS = 2
_REFUSED = 422
_BUSY = 429


class NodePool:
    """The nodes' addresses, and which of them answer.

    Parameters
    ----------
    urls : such as http://10.0.0.5:7870
    timeout_s : seconds that one attempt may take
    key : what the nodes ask for, if they do
    client : sends the requests; made here if not given
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout_s: float = 5.0,
        key: str | None = None,
        client: httpx2.Client | None = None,
    ) -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._timeout_s = timeout_s
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=64)
        # No proxies of the environment: the nodes are ours, and what is sent is somebody's payment.
        self._client = client or httpx2.Client(limits=limits, trust_env=False, follow_redirects=False)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._lock = threading.Lock()
        self._ill: set[str] = set()
        self._turn = 0

    @property
    def ill(self) -> frozenset[str]:
        """The nodes that did not answer when they were asked last."""
        return frozenset(self._ill)

    def check(self) -> None:
        """Ask every node whether it is ready; to be called at intervals."""
        for url in self._urls:
            try:
                ready = self._client.get(f"{url}/readyz", timeout=2.0).status_code == 200
            except httpx2.HTTPError:
                ready = False
            self._note(url, well=ready)

    def post(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        """Return the answer of one node, or of a second one if the first failed.

        Raises
        ------
        NodesUnavailable
            Neither answered.
        """
        problem = "no node is configured"
        for url in self._order()[:ATTEMPTS]:
            try:
                answer = self._client.post(
                    f"{url}{path}", json=body, headers=self._headers, timeout=self._timeout_s
                )
            except httpx2.HTTPError as error:
                problem = type(error).__name__
            else:
                if answer.status_code < 500 and answer.status_code != _BUSY:
                    self._note(url, well=True)
                    return answer
                problem = f"status {answer.status_code}"
            self._note(url, well=False)
        raise NodesUnavailable(
            f"No prediction node answered ({problem}); try again in a moment.", code="no_node"
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _order(self) -> list[str]:
        """Return the nodes in turn, the ill ones last; a lone node twice."""
        with self._lock:
            first, self._turn = self._turn % len(self._urls), self._turn + 1
            ill = set(self._ill)
        turned = [*self._urls[first:], *self._urls[:first]]
        well = [url for url in turned if url not in ill]
        ordered = well + [url for url in turned if url in ill]
        return ordered if len(ordered) > 1 else ordered * ATTEMPTS

    def _note(self, url: str, *, well: bool) -> None:
        with self._lock:
            changed = (url in self._ill) == well
            (self._ill.discard if well else self._ill.add)(url)
        if changed:
            _log.warning("the prediction node %s %s", url, "answers again" if well else "does not answer")


class ThroughNodes:
    """A `Predictor` that asks nodes; what a transaction may look like is still said by what is loaded here.

    Parameters
    ----------
    champion : of this process; its profile gives the sentences about fields that break a rule
    pool : the nodes
    """

    def __init__(self, champion: Champion, pool: NodePool) -> None:
        self._champion = champion
        self._pool = pool

    def predict(
        self, transaction: Mapping[str, Any], history: object, now: datetime, observer: Observer = UNOBSERVED
    ) -> Prediction:
        """Return both models' answers, of the one version that a node answered with."""
        start, watch = perf_counter(), Stopwatch(observer)
        profile = self._champion.scorer.bundle.profile
        valid = validate_transaction(profile, transaction, now)
        past = None if history is None else validate_history(profile, history, now)
        watch.lap("validate")
        document = self._ask(valid, past, explain=False)
        return Prediction(
            prediction_id=new_id("p"),
            predicted_at=now,
            profile=profile.name,
            transaction=valid,
            history=past,
            scores={name: _score(name, document["scores"][name]) for name in MODELS},
            model_version=_version(document),
            latency_ms=(perf_counter() - start) * 1000,
        )

    def explain(self, prediction: Prediction, observer: Observer = UNOBSERVED) -> dict[str, Explanation]:
        """Return both models' reasons; NotFound if the nodes serve another version by now."""
        document = self._ask(prediction.transaction, prediction.history, explain=True)
        if _version(document).manifest_digest != prediction.model_version.manifest_digest:
            raise version_changed()
        return {name: _explanation(name, document["explanations"][name]) for name in MODELS}

    def _ask(
        self,
        transaction: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] | None,
        *,
        explain: bool,
    ) -> dict[str, Any]:
        body = {"transaction": dict(transaction), "history": history, "explain": explain}
        answer = self._pool.post("/v1/score", body)
        document: dict[str, Any] = answer.json()
        if answer.status_code == _REFUSED:
            # Only where a node has another profile by now than this process.
            problems = document.get("problems") or [{}]
            raise TransactionError(
                str(document.get("detail")),
                code=str(document.get("code")),
                field=problems[0].get("field"),
            )
        if answer.status_code != 200:
            raise NodesUnavailable(
                f"A prediction node answered with status {answer.status_code}; see its log.", code="no_node"
            )
        return document


def _version(document: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(
        str(document["model_version"]), document["model_revision"], str(document["model_digest"])
    )


def _score(name: str, entry: Mapping[str, Any]) -> Score:
    thresholds = Thresholds(float(entry["review_threshold"]), float(entry["decline_threshold"]))
    return Score(name, float(entry["fraud_probability"]), thresholds, Decision(entry["decision"]))


def _explanation(name: str, entry: Mapping[str, Any]) -> Explanation:
    reasons = tuple(Reason(r["feature"], r["value"], float(r["contribution"])) for r in entry["reasons"])
    return Explanation(name, str(entry["scale"]), float(entry["expected"]), reasons)
