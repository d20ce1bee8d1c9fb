"""A node's background work, on one thread: follow promotions, judge what serves, say what serves."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Literal

from fraud.errors import FraudError
from fraud.records import ModelVersion
from fraud.serving.champion import Champion
from fraud.serving.watch import TrafficWatch

_log = logging.getLogger(__name__)

SOON_S = (0.3, 0.7, 1.5, 3.0, 6.0)
"""When to look again for a promotion that was announced and is not in the registry yet, second by second."""
_JUDGE_S = 0.5
"""How often a version on trial is judged; a failed answer is judged at once."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node says of itself.

    `state` is "rolled_back" while it turns away what it served and gave up, "refused" while it turns away
    what it never served.
    """

    node: str
    served: ModelVersion
    since: datetime
    sequence: int
    state: Literal["serving", "rolled_back", "refused"]
    reason: str = ""


class Updates:
    """Looks for promotions when told and at intervals; swaps, watches, goes back and acknowledges.

    Parameters
    ----------
    champion : the pointer to what serves
    watch : the answers of what serves
    node : this node's name
    acknowledge : tells the trainer, and returns whether that arrived; None where nobody is to be told
    poll_s : seconds between two looks at the registry while nobody announces anything
    acknowledge_s : seconds between two reports that say the same
    clock : returns monotonic seconds
    """

    def __init__(
        self,
        champion: Champion,
        watch: TrafficWatch,
        *,
        node: str,
        acknowledge: Callable[[NodeReport], bool] | None = None,
        poll_s: float = 30.0,
        acknowledge_s: float = 60.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._champion = champion
        self._watch = watch
        self._node = node
        self._acknowledge = acknowledge
        self._poll_s = poll_s
        self._acknowledge_s = acknowledge_s
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._announced: ModelVersion | None = None
        self._looks: list[float] = []
        self._next_poll_s = 0.0
        self._said: tuple[NodeReport, float] | None = None
        self._last_problem = ""
        self.swaps = self.rollbacks = 0
        self._thread = threading.Thread(target=self._run, name="node-updates", daemon=True)

    # For requests, from any thread

    def announce(self, version: ModelVersion | None) -> None:
        """Look for a promotion now: for this version, or for any."""
        now_s = self._clock()
        with self._lock:
            self._announced = version or self._announced
            self._looks = [now_s + wait for wait in (0.0, *SOON_S)]
        self._wake.set()

    def hurry(self) -> None:
        """Judge what serves now: an answer has failed."""
        if self._watch.on_trial:
            self._wake.set()

    # The thread

    def start(self) -> None:
        """Begin; what is served already is acknowledged first."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether promotions are still followed."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Let what is running finish and return."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except FraudError as error:
                self._note(error.message)
            except Exception as error:
                # As in the demo's heartbeat: a defect must not end the following of promotions, unseen.
                if self._note(repr(error)):
                    _log.exception("an update failed unexpectedly and will be tried again")
            self._wake.wait(self._pause_s())
            self._wake.clear()

    def step(self) -> None:
        """Do what is due now."""
        self._judge()
        self._follow()
        self._report()

    def _pause_s(self) -> float:
        with self._lock:
            due = [self._next_poll_s, *self._looks[:1]]
        if self._watch.on_trial:
            due.append(self._clock() + _JUDGE_S)
        return min(max(min(due) - self._clock(), 0.0), self._poll_s, 5.0)

    def _judge(self) -> None:
        reason = self._watch.verdict()
        if reason is None:
            return
        given_up = self._champion.scorer.version
        if self._champion.give_up(given_up, reason):
            self.rollbacks += 1
            self._watch.resume(self._champion.scorer.version)

    def _follow(self) -> None:
        now_s = self._clock()
        with self._lock:
            expected = self._announced
            if now_s < self._next_poll_s and not (self._looks and now_s >= self._looks[0]):
                return
            self._looks = [at for at in self._looks if at > now_s]
        self._next_poll_s = now_s + self._poll_s
        if self._champion.refresh(expected):
            self.swaps += 1
            self._watch.begin(self._champion.scorer.version)
        if expected is not None and self._champion.settled(expected):
            with self._lock:
                if self._announced is expected:  # nothing newer was announced meanwhile
                    self._announced, self._looks = None, []

    def _report(self) -> None:
        if self._acknowledge is None:
            return
        report, now_s = self.report(), self._clock()
        if self._said is not None and self._said[0] == report and now_s < self._said[1]:
            return
        arrived = self._acknowledge(report)
        self._said = (report, now_s + (self._acknowledge_s if arrived else min(self._acknowledge_s, 5.0)))

    def report(self) -> NodeReport:
        """Return what serves, since when, and whether that is what the registry asks for."""
        champion = self._champion
        given_up, reason = champion.rolled_back, champion.refusal or ""
        state: Literal["serving", "rolled_back", "refused"] = "refused" if reason else "serving"
        if given_up is not None:
            state, reason = "rolled_back", f"{given_up.version}: {given_up.reason}"
        return NodeReport(
            node=self._node,
            served=champion.scorer.version,
            since=champion.since,
            sequence=champion.sequence,
            state=state,
            reason=reason,
        )

    def _note(self, problem: str) -> bool:
        """Log a problem once; return whether it is a new one."""
        if problem == self._last_problem:
            return False
        self._last_problem = problem
        _log.warning("%s", problem)
        return True
