"""Production, day by day: a scorer answers, people speak later, and all of it becomes events of a dataset."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS
from fraud.data.simulate.config import stream
from fraud.errors import SettingsError
from fraud.feedback.audit import AuditPolicy, AuditSampler
from fraud.feedback.events import Row, prediction_row, review_row, submission
from fraud.feedback.keeping import KEEP_CONSENT_VERSION
from fraud.feedback.parsing import parse_row
from fraud.models.examples import to_record
from fraud.production.people import Booleans, Crowd, Maintainers, People, Word, simulated_id
from fraud.production.world import World, WorldDay
from fraud.records import MODELS, Decision, Flag, Label, ModelVersion, Prediction, Review, Score
from fraud.review_order import Waiting, claim_value, is_missed
from fraud.service import CONSENT_VERSION
from fraud.serving.batch import decisions
from fraud.serving.scorer import Scorer

F64 = NDArray[np.float64]
NODE = "simulated"
_LATENCY_MS, _LATENCY_SIGMA = 4.0, 0.35
_MORNING_MS = 8 * 3_600_000


@dataclass(frozen=True, eq=False)
class ScoredDay:
    """A day with the answers to its n transactions, and the events that were recorded on it.

    Attributes
    ----------
    day : the world's side, with the truth
    version : what scored
    ids : the predictions' ids, in the order of the transactions
    probability, alerted : model -> float64 [n], bool [n]
    asked, audit_probability : bool [n], float64 [n]; the lot and its chance
    rows : every event that was recorded on this day, also flags and reviews of earlier predictions
    """

    day: WorldDay
    version: ModelVersion
    ids: list[str]
    probability: Mapping[str, F64]
    alerted: Mapping[str, Booleans]
    asked: Booleans
    audit_probability: F64
    rows: tuple[Row, ...]

    def truth(self) -> pd.DataFrame:
        """Return what only benchmarks and tests may read: prediction_id, label, typology, day, event."""
        words = np.array([Label.LEGITIMATE.value, Label.FRAUD.value], dtype=object)
        return pd.DataFrame(
            {
                "prediction_id": pd.Series(self.ids, dtype="str"),
                "label": words[self.day.fraud.astype(int)],
                "typology": self.day.typology,
                "day": np.full(len(self.day), self.day.index, np.int32),
                "event": self.day.event,
            }
        )


class ProductionDay:
    """One day that waits to be scored, by whichever scorer serves then."""

    def __init__(self, production: "Production", day: WorldDay) -> None:
        self._production = production
        self._scored: ScoredDay | None = None
        self.world = day

    @property
    def index(self) -> int:
        """The day's number, from 0."""
        return self.world.index

    def score(self, scorer: Scorer) -> ScoredDay:
        """Score the day's transactions in one batch and record what happens; again gives the same."""
        if self._scored is None:
            self._scored = self._production._play(self.world, scorer)
        return self._scored


class Production:
    """Plays a world to scorers. Two productions over one world differ only by what their scorers answered.

    Parameters
    ----------
    world : the transactions, with what is injected
    people : how people behave
    audit : how many predictions are drawn by lot
    node : the node's name in the dataset
    """

    def __init__(
        self,
        world: World,
        people: People = People(),  # noqa: B008 (frozen)
        *,
        audit: AuditPolicy = AuditPolicy(),  # noqa: B008 (frozen)
        node: str = NODE,
    ) -> None:
        profile, main = world.profile, world.profile.main_entity
        self.world = world
        self._people = people
        self._node = node
        self._sampler = AuditSampler(audit, f"production {world.seed}".encode())
        self._crowd = Crowd(people, world.seed, None if main is None else main.column)
        self._maintainers = Maintainers(people, world.seed)
        self._spoken_of: dict[str, tuple[Prediction, bool]] = {}
        self._next = 0
        self._usual = profile.costs.average_fraud or 20.0 * profile.costs.review

    @property
    def n_hostile(self) -> int:
        """How many hostile flags are on their way or given; fewer than asked where true frauds run out."""
        return self._crowd.n_hostile

    def days(self, n: int | None = None) -> Iterator[ProductionDay]:
        """Yield days from where the last call stopped: `n` of them, or until the world ends."""
        last = None if n is None else self._next + n
        while last is None or self._next < last:
            try:
                day = self.world.day(self._next)
            except IndexError:
                return
            self._next += 1
            yield ProductionDay(self, day)

    def _play(self, day: WorldDay, scorer: Scorer) -> ScoredDay:
        profile = self.world.profile
        served = scorer.bundle.profile
        if served.name != profile.name or served.features != profile.features:
            raise SettingsError(
                f'The scorer serves the profile "{served.name}", the transactions are of "{profile.name}"; '
                "name and features must be the same.",
                code="other_profile",
            )
        probability = _answers(day, scorer)
        models = scorer.bundle.models
        alerted = {name: probability[name] >= models[name].thresholds.review for name in MODELS}
        predictions = self._predictions(day, scorer, probability)
        asked = np.array([p.audit_asked is True for p in predictions], bool)
        ids = [p.prediction_id for p in predictions]
        for row in self._crowd.hear(day, ids, alerted, asked):
            self._spoken_of[ids[row]] = (predictions[row], bool(day.fraud[row]))
        return ScoredDay(
            day=day,
            version=scorer.version,
            ids=ids,
            probability=probability,
            alerted=alerted,
            asked=asked,
            audit_probability=np.array([p.audit_probability or np.nan for p in predictions], np.float64),
            rows=self._record(day, predictions),
        )

    def _predictions(self, day: WorldDay, scorer: Scorer, probability: Mapping[str, F64]) -> list[Prediction]:
        profile, times = self.world.profile, day.seen.times().tolist()
        entries = scorer.bundle.manifest["models"]
        f1 = {name: float(entries[name]["metrics"]["f1"]["value"]) for name in MODELS}
        scores = self._scores(scorer, probability)
        normal = stream(self.world.seed, "people", 400_000 + day.index).standard_normal(len(day))
        latency = _LATENCY_MS * np.exp(_LATENCY_SIGMA * normal)
        predictions = []
        for row, moment in enumerate(times):
            name = simulated_id("p", moment, f"{self.world.seed} {day.seen.ids[row]}")
            lot = self._sampler.draw(name, scores[row], f1)
            predictions.append(
                Prediction(
                    prediction_id=name,
                    predicted_at=_moment(moment),
                    profile=profile.name,
                    transaction=to_record(day.seen, row, profile),
                    history=None,
                    scores=scores[row],
                    model_version=scorer.version,
                    latency_ms=round(float(latency[row]), 3),
                    audit_asked=None if lot is None else lot.asked,
                    audit_probability=None if lot is None else lot.probability,
                )
            )
        return predictions

    @staticmethod
    def _scores(scorer: Scorer, probability: Mapping[str, F64]) -> list[dict[str, Score]]:
        columns = []
        for name in MODELS:
            thresholds = scorer.bundle.models[name].thresholds
            words = decisions(probability[name], thresholds).tolist()
            columns.append(
                [
                    Score(name, p, thresholds, Decision(word))
                    for p, word in zip(probability[name].tolist(), words, strict=True)
                ]
            )
        return [dict(zip(MODELS, answers, strict=True)) for answers in zip(*columns, strict=True)]

    def _record(self, day: WorldDay, predictions: list[Prediction]) -> tuple[Row, ...]:
        """Return the day's events: what was kept, the morning's reviews, what was said."""
        uniform = stream(self.world.seed, "people", 500_000 + day.index).random(len(day))
        rows: list[Row] = []
        kept = uniform < self._people.consent
        rows += [self._kept(predictions[row]) for row in np.flatnonzero(kept).tolist()]
        # In the morning, from what was said until midnight: before this day's words are heard.
        for number, (flag_id, finding) in enumerate(self._maintainers.decide(day.index)):
            at_ms = day.start_ms + _MORNING_MS + number * 60_000
            review = Review(
                simulated_id("v", at_ms, flag_id), _moment(at_ms), flag_id, finding, "", "maintainer"
            )
            rows.append(review_row(review, node=self._node))
        for word in self._crowd.said_before(day.start_ms + DAY_MS):
            rows += self._flagged(word)
        for row in rows:
            parse_row(row)  # what readers would refuse must not be written
        return tuple(rows)

    def _kept(self, prediction: Prediction) -> Row:
        return prediction_row(
            prediction,
            node=self._node,
            consent_version=KEEP_CONSENT_VERSION,
            audit_asked=prediction.audit_asked,
            audit_probability=prediction.audit_probability,
        )

    def _flagged(self, word: Word) -> tuple[Row, Row]:
        prediction, fraud = self._spoken_of[word.prediction_id]
        flag = Flag(
            flag_id=word.flag_id,
            flagged_at=_moment(word.at_ms),
            prediction_id=word.prediction_id,
            verdict=word.verdict,
            label=word.label,
            comment="",
            consent_version=CONSENT_VERSION,
            reporter=word.reporter,
            answers_audit=word.answers_audit,
        )
        value, _ = claim_value(
            prediction,
            flag,
            self._stake,
            asked=prediction.audit_asked,
            chance=prediction.audit_probability,
        )
        case = Waiting(flag.flag_id, value, is_missed(prediction, flag))
        self._maintainers.see(case, word.reporter, holds=(word.label is Label.FRAUD) == fraud)
        return submission(
            prediction,
            flag,
            node=self._node,
            audit_asked=prediction.audit_asked,
            audit_probability=prediction.audit_probability,
        )

    def _stake(self, transaction: Mapping[str, object]) -> tuple[float, float]:
        column = self.world.profile.columns.amount
        amount = transaction.get(column) if column is not None else None
        return (float(amount) if isinstance(amount, (int, float)) else 0.0), self._usual


def _answers(day: WorldDay, scorer: Scorer) -> dict[str, F64]:
    if not len(day):
        return {name: np.zeros(0) for name in MODELS}
    features = scorer.pipeline.transform(day.seen, day.history)
    models = scorer.bundle.models
    return {name: models[name].calibration(models[name].forest.probability(features)) for name in MODELS}


def _moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
