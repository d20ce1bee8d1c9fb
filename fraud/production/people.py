"""Who says what of which prediction, and when: answers to the lot, complaints, attacks and reviews.

People do not flag at random. Cardholders speak of frauds that they noticed and of alarms that were false, and
hardly ever of what was right; only the audit lot asks about everything with a known chance.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS
from fraud.data.simulate.config import stream
from fraud.data.table import NEVER_MS, Transactions
from fraud.errors import SettingsError
from fraud.ids import id_of
from fraud.production.world import WorldDay
from fraud.records import Finding, Label, Verdict
from fraud.review_order import UNSURE, Waiting, in_turn

Booleans = NDArray[np.bool_]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """How people behave. Shares and errors are probabilities, delays medians in days (lognormal).

    Attributes
    ----------
    consent : share of the predictions whose sender agreed to have them kept
    response, response_delay : of those whom the lot asked, how many answer, and after how long
    missed, confirmed : how many frauds that were reported are flagged, where no model had alerted and where
        one had; a fraud that nobody notices is flagged by nobody
    false_alarm, false_alarm_delay : how many legitimate transactions with an alert are flagged, how soon
    idle : how many of all others are confirmed as right, unasked
    honest_error : how often somebody honest says the wrong thing
    reviews_per_day, review_error, review_unsure : what maintainers decide each morning, from the top of the
        review queue, and how often they are wrong or cannot tell
    hostile_per_day, hostile_sources, hostile_from : flags of an attack on one slice, which say that true
        frauds were legitimate; from how many pseudonyms they come; the first day
    hostile_column, hostile_level : the slice
    """

    consent: float = 1.0
    response: float = 0.6
    response_delay: float = 1.0
    missed: float = 0.35
    confirmed: float = 0.1
    false_alarm: float = 0.25
    false_alarm_delay: float = 0.3
    idle: float = 0.001
    honest_error: float = 0.02
    reviews_per_day: int = 6
    review_error: float = 0.03
    review_unsure: float = 0.05
    hostile_per_day: float = 0.0
    hostile_sources: int = 3
    hostile_from: int = 0
    hostile_column: str = "channel"
    hostile_level: str = "online"

    def __post_init__(self) -> None:
        shares = ("consent", "response", "missed", "confirmed", "false_alarm", "idle", "honest_error")
        for name in (*shares, "review_error", "review_unsure"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} must be from 0 to 1.", code="people", field=name)
        if self.hostile_per_day < 0 or self.hostile_sources < 1 or self.reviews_per_day < 0:
            raise SettingsError(
                "hostile_per_day and reviews_per_day must be 0 or more, hostile_sources at least 1.",
                code="people",
            )


@dataclass(frozen=True, slots=True, order=True)
class Word:
    """What somebody will say of a prediction, at a moment; `row` is the prediction's place in its day.

    `answers_audit`: it answers the question of the lot; whoever does not answer may still speak unasked.
    """

    at_ms: int
    prediction_id: str
    reporter: str
    day: int = field(compare=False)
    row: int = field(compare=False)
    label: Label = field(compare=False)
    verdict: Verdict = field(compare=False)
    answers_audit: bool = field(compare=False)

    @property
    def flag_id(self) -> str:
        """The id of the flag that it becomes: the same in every run."""
        return simulated_id("f", self.at_ms, f"{self.prediction_id} {self.reporter}")


class Crowd:
    """Everybody who answers. The same transactions meet the same people, whatever scored them."""

    def __init__(self, people: People, seed: int, main_column: str | None) -> None:
        self._people = people
        self._seed = seed
        self._main_column = main_column
        self._waiting: list[Word] = []
        self._hostile_budget = 0.0
        self.n_hostile = 0

    def hear(
        self, day: WorldDay, ids: list[str], alerts: Mapping[str, Booleans], asked: Booleans
    ) -> frozenset[int]:
        """Let people look at a day's predictions; return the rows of which they will say something.

        What they say waits for its moment.
        """
        uniform = stream(self._seed, "people", day.index).random((len(day), 8))
        normal = stream(self._seed, "people", 100_000 + day.index).standard_normal((len(day), 2))
        answers = asked & (uniform[:, 0] < self._people.response)
        speaks, at_ms, label = self._volunteers(day, np.any(list(alerts.values()), axis=0), uniform, normal)
        delay = _delay_ms(self._people.response_delay, normal[:, 0])
        at_ms = np.where(answers, day.seen.times() + delay, at_ms)
        said = np.where(answers, day.fraud, label) ^ (uniform[:, 5] < self._people.honest_error)
        for row in np.flatnonzero(answers | speaks).tolist():
            reporter = self._pseudonym(day.seen, row)
            answer = bool(answers[row])
            self._say(day, ids[row], row, int(at_ms[row]), bool(said[row]), reporter, alerts, answer)
        self._attack(day, ids, alerts)
        return frozenset(word.row for word in self._waiting if word.day == day.index)

    def said_before(self, moment_ms: int) -> Iterator[Word]:
        """Yield, in order, what is said before a moment and has not been yielded yet."""
        while self._waiting and self._waiting[0].at_ms < moment_ms:
            yield heapq.heappop(self._waiting)

    def _volunteers(
        self, day: WorldDay, alerted: Booleans, uniform: F64, normal: F64
    ) -> tuple[Booleans, NDArray[np.int64], Booleans]:
        """Return who speaks unasked, when, and whether they say that it was fraud."""
        people, seen = self._people, day.seen
        reported = (seen.labels == 1) & (seen.known_at_ms != NEVER_MS)
        chance = np.select(
            [reported & ~alerted, reported & alerted, ~day.fraud & alerted, ~day.fraud],
            [people.missed, people.confirmed, people.false_alarm, people.idle],
            0.0,
        )
        soon = seen.times() + _delay_ms(people.false_alarm_delay, normal[:, 1])
        return uniform[:, 1] < chance, np.where(reported, seen.known_at_ms + 60_000, soon), reported

    def _attack(self, day: WorldDay, ids: list[str], alerts: Mapping[str, Booleans]) -> None:
        people = self._people
        if people.hostile_per_day <= 0 or day.index < people.hostile_from:
            return
        self._hostile_budget += people.hostile_per_day
        column = day.seen.texts.get(people.hostile_column)
        if column is None or people.hostile_level not in column.values:
            return
        level = column.values.index(people.hostile_level)
        targets = np.flatnonzero(day.fraud & (column.codes == level))
        rng = stream(self._seed, "people", 200_000 + day.index)
        pairs = rng.permutation(len(targets) * people.hostile_sources)[: int(self._hostile_budget)]
        self._hostile_budget -= len(pairs)
        for pair in pairs.tolist():
            row = int(targets[pair // people.hostile_sources])
            at_ms = int(day.seen.times()[row]) + int(rng.integers(1, 12 * 3_600_000))
            reporter = _hex(f"{self._seed} hostile {pair % people.hostile_sources}")
            self._say(day, ids[row], row, at_ms, False, reporter, alerts)
            self.n_hostile += 1

    def _say(
        self,
        day: WorldDay,
        prediction_id: str,
        row: int,
        at_ms: int,
        fraud: bool,
        reporter: str,
        alerts: Mapping[str, Booleans],
        answers_audit: bool = False,
    ) -> None:
        agreed = any(bool(alert[row]) == fraud for alert in alerts.values())
        word = Word(
            at_ms,
            prediction_id,
            reporter,
            day.index,
            row,
            Label.FRAUD if fraud else Label.LEGITIMATE,
            Verdict.RIGHT if agreed else Verdict.WRONG,
            answers_audit,
        )
        heapq.heappush(self._waiting, word)

    def _pseudonym(self, seen: Transactions, row: int) -> str:
        column = None if self._main_column is None else seen.texts[self._main_column]
        code = -1 if column is None else int(column.codes[row])
        who = seen.ids[row] if column is None or code < 0 else column.values[code]
        return _hex(f"{self._seed} card {who}")


@dataclass(frozen=True, slots=True)
class _Claim:
    case: Waiting
    reporter: str
    holds: bool
    unsure: bool = False


class Maintainers:
    """Decide what comes first each morning, in the order of the review queue."""

    def __init__(self, people: People, seed: int) -> None:
        self._people = people
        self._seed = seed
        self._open: dict[str, _Claim] = {}

    def see(self, case: Waiting, reporter: str, holds: bool) -> None:
        """Add a flag with its place in the queue; `holds`: its label is true."""
        self._open[case.flag_id] = _Claim(case, reporter, holds)

    def decide(self, day: int) -> list[tuple[str, Finding]]:
        """Return a morning's findings, in the order of the queue.

        What nobody could tell stays, and counts half from then on, as in the queue.
        """
        rng = stream(self._seed, "people", 300_000 + day)
        found = []
        for flag_id in self._first():
            claim = self._open[flag_id]
            unsure, wrong = rng.random(2) < (self._people.review_unsure, self._people.review_error)
            if unsure:
                self._open[flag_id] = replace(claim, unsure=True)
                found.append((flag_id, Finding.UNSURE))
            else:
                del self._open[flag_id]
                found.append((flag_id, Finding.ACCEPT if claim.holds != wrong else Finding.REJECT))
        return found

    def _first(self) -> list[str]:
        rounds: Counter[str] = Counter()
        cases = []
        for claim in self._open.values():
            case = replace(claim.case, value=claim.case.value * (UNSURE if claim.unsure else 1.0))
            if case.missed:
                case = replace(case, round=rounds[claim.reporter])
                rounds[claim.reporter] += 1
            cases.append(case)
        return [case.flag_id for case in in_turn(cases, self._people.reviews_per_day)]


def simulated_id(prefix: str, moment_ms: int, name: str) -> str:
    """Return an id like those of the demo, made of its moment and a name instead of chance."""
    return id_of(prefix, moment_ms, hashlib.sha256(name.encode()).digest()[:10])


def _hex(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def _delay_ms(median_days: float, normal: F64) -> NDArray[np.int64]:
    delay: NDArray[np.int64] = (median_days * DAY_MS * np.exp(0.6 * normal)).astype(np.int64) + 60_000
    return delay
