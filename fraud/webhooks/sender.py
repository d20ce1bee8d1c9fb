"""Sends what is due: endpoints side by side, the deliveries of one endpoint in their order."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fraud.ids import new_id
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import Endpoint
from fraud.webhooks.messages import PING, write_body
from fraud.webhooks.schedule import Answer, Outcome, judge
from fraud.webhooks.signing import sign


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what it came to."""

    message_id: str
    endpoint: str
    answer: Answer
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class DrainReport:
    """The attempts of one drain."""

    attempts: tuple[Attempt, ...] = field(default=())

    def count(self, outcome: Outcome) -> int:
        """Return how many attempts came to this."""
        return sum(attempt.outcome is outcome for attempt in self.attempts)

    @property
    def all_delivered(self) -> bool:
        """Whether no attempt failed."""
        return self.count(Outcome.DELIVERED) == len(self.attempts)


class WebhookSender:
    """Drains an outbox. Several at once, in any number of processes, share the work.

    Parameters
    ----------
    max_concurrent
        Endpoints that one drain talks to at once.
    clock, chance
        Replaced in tests: the time, and the jitter's uniform number in [0, 1).
    """

    def __init__(
        self,
        outbox: WebhookOutbox,
        client: WebhookClient,
        *,
        max_concurrent: int = 8,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._max_concurrent = max_concurrent
        self._clock = clock
        self._chance = chance

    def drain(self, now: datetime | None = None, *, endpoints: Sequence[str] | None = None) -> DrainReport:
        """Send what is due at `now` (default: the clock's), to some endpoints or to all; return the attempts.

        An endpoint that gives no answer, or says that it is overloaded, has no more of this drain: its other
        deliveries stay due. So one that is dead costs a drain one time limit, and the others nothing.

        Raises
        ------
        StorageError
            The outbox cannot be used. What was sent and could not be recorded is sent again, under its id.
        """
        due_by = now or self._clock()
        chosen = (
            self._outbox.endpoints
            if endpoints is None
            else [self._outbox.endpoint(name) for name in endpoints]
        )
        if not chosen or not self._outbox.used:
            return DrainReport()
        if len(chosen) == 1:
            return DrainReport(tuple(self._drain_one(chosen[0], due_by)))
        with ThreadPoolExecutor(min(self._max_concurrent, len(chosen)), "webhooks") as pool:
            parts = list(pool.map(lambda endpoint: self._drain_one(endpoint, due_by), chosen))
        return DrainReport(tuple(attempt for part in parts for attempt in part))

    def ping(self, name: str) -> Answer:
        """Send an endpoint a message that says nothing, once and now; it is neither kept nor tried again."""
        endpoint, now = self._outbox.endpoint(name), self._clock()
        return self._send(endpoint, new_id("msg"), write_body(PING, now, {}))

    def _drain_one(self, endpoint: Endpoint, due_by: datetime) -> list[Attempt]:
        attempts: list[Attempt] = []
        while (claim := self._outbox.claim(endpoint.name, due_by, self._clock())) is not None:
            answer = self._send(endpoint, claim.message_id, claim.body)
            now = self._clock()
            verdict = judge(answer, claim.attempt, now, self._chance)
            self._outbox.record(claim, answer, verdict, now)
            attempts.append(Attempt(claim.message_id, endpoint.name, answer, verdict.outcome))
            if verdict.outcome is Outcome.GONE or (answer.overloaded and not answer.delivered):
                break
        return attempts

    def _send(self, endpoint: Endpoint, message_id: str, body: str) -> Answer:
        headers = sign(message_id, self._clock(), body, endpoint.secrets)
        return self._client.post(endpoint.address, headers, body)
