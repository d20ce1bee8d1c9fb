"""Both models of one bundle, answering for one transaction."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.past import read_past
from fraud.data.table import Transactions
from fraud.data.validate import transactions_from_records
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models.bundle import Bundle
from fraud.models.golden import check_golden
from fraud.records import ModelVersion, Reason, Score, Thresholds
from fraud.telemetry import Stopwatch

_WARM_UPS = 4
"""Examples scored before a bundle serves: the pages of its arrays are in memory by then."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one model answered as it did.

    `expected` plus all contributions is the model's raw output: a share of trees' votes between 0 and 1 for
    scale "probability" (before calibration), log-odds for scale "log_odds". Reasons come largest first.
    """

    model: str
    scale: str
    expected: float
    reasons: tuple[Reason, ...]


class Scorer:
    """A loaded bundle and the past it starts from. Immutable, so threads may share it and swaps are safe."""

    def __init__(
        self, bundle: Bundle, past: Transactions | None, history: History | None, revision: str | None
    ) -> None:
        self.bundle = bundle
        self.version = ModelVersion(bundle.version, revision, bundle.manifest_digest)
        self.past = past
        self.examples = bundle.read_examples()
        self._history = history

    @classmethod
    def from_bundle(cls, bundle: Bundle, revision: str | None = None) -> "Scorer":
        """Index the bundle's history and compile or load the kernels, so that no first request pays.

        Raises
        ------
        BundleRefused
            The golden vectors come out otherwise here than where the models were trained.
        """
        past = history = None
        if bundle.history_path is not None:
            past = read_past(bundle.history_path, bundle.profile)
            history = History.of(past, bundle.profile)
        check_golden(bundle, history)
        scorer = cls(bundle, past, history, revision)
        for example in scorer.examples.get("examples", [])[:_WARM_UPS]:
            scorer.score(example["transaction"])
        for model in bundle.models.values():
            model.forest.warm_up()
        return scorer

    def with_thresholds(self, thresholds: Mapping[str, Thresholds]) -> "Scorer":
        """Return the same models deciding by other cut-offs; the manifest still tells the released ones."""
        models = {n: replace(m, thresholds=thresholds[n]) for n, m in self.bundle.models.items()}
        other = copy(self)
        other.bundle = replace(self.bundle, models=models)
        return other

    @property
    def pipeline(self) -> FeaturePipeline:
        """The fitted transformer."""
        return self.bundle.pipeline

    def score(
        self,
        transaction: Mapping[str, Any],
        past: Sequence[Mapping[str, Any]] | None = None,
        watch: Stopwatch | None = None,
    ) -> dict[str, Score]:
        """Return both models' scores for one canonical transaction.

        Parameters
        ----------
        transaction : as returned by `validate_transaction`
        past : the main entity's own past, canonical; None takes what the bundle knows of it
        watch : told when the feature row and each model's answer are done
        """
        watch = watch or Stopwatch()
        features = self.features(transaction, past)
        watch.lap("features")
        scores = {}
        for name, model in self.bundle.models.items():
            probability = float(model.calibration(model.forest.probability(features))[0])
            decision = model.thresholds.decide(probability)
            scores[name] = Score(name, probability, model.thresholds, decision)
            watch.lap("score", name)
        return scores

    def probabilities(
        self, transactions: Sequence[Mapping[str, Any]], past: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return both models' calibrated probabilities, float64 [n] each, in the order of n transactions.

        None of them sees another: each is scored as if it alone came after the past.
        """
        table, features = self._table_and_features(transactions, past)
        found = {}
        for name, model in self.bundle.models.items():
            probability = np.empty(len(table))
            probability[table.rows] = model.calibration(model.forest.probability(features))
            found[name] = probability
        return found

    def explain(
        self,
        transaction: Mapping[str, Any],
        past: Sequence[Mapping[str, Any]] | None = None,
        watch: Stopwatch | None = None,
    ) -> dict[str, Explanation]:
        """Return exact TreeSHAP reasons of both models, every feature, largest first."""
        watch = watch or Stopwatch()
        features = self.features(transaction, past)
        watch.lap("features")
        explanations = {}
        for name in self.bundle.models:
            explanations[name] = self._explain(name, features, self._levels(transaction))
            watch.lap("explain", name)
        return explanations

    def features(
        self, transaction: Mapping[str, Any], past: Sequence[Mapping[str, Any]] | None = None
    ) -> NDArray[np.float32]:
        """Return the feature row of one canonical transaction, float32 [1, d]."""
        return self._table_and_features([transaction], past)[1]

    def _table_and_features(
        self, transactions: Sequence[Mapping[str, Any]], past: Sequence[Mapping[str, Any]] | None
    ) -> tuple[Transactions, NDArray[np.float32]]:
        profile = self.bundle.profile
        history = self._history
        if history is not None and past is not None:
            history = history.with_main_entity(transactions_from_records(profile, past))
        table = transactions_from_records(profile, transactions)
        return table, self.pipeline.transform(table, history)

    def features_of(self, transactions: Transactions) -> NDArray[np.float32]:
        """Return the feature rows of transactions that see the bundle's past and not each other."""
        return self.pipeline.transform(transactions, self._history)

    def past_of(self, entity: str) -> Transactions | None:
        """Return what the bundle knows of one main entity's past, ordered by time; None if nothing."""
        main = self.bundle.profile.main_entity
        if self.past is None or main is None:
            return None
        column = self.past.texts[main.column]
        if entity not in column.values:
            return None
        return self.past.take(np.flatnonzero(column.codes == column.values.index(entity)))

    @property
    def history_ends_at_ms(self) -> int | None:
        """The time of the newest past transaction; None without history."""
        return None if self.past is None else int(self.past.times()[-1])

    def _levels(self, transaction: Mapping[str, Any]) -> Mapping[str, str | None]:
        return {f.column: transaction[f.column] for f in self.bundle.profile.fields if f.kind == "category"}

    def _explain(
        self, name: str, features: NDArray[np.float32], levels: Mapping[str, str | None]
    ) -> Explanation:
        forest = self.bundle.models[name].forest
        contributions, expected = forest.contributions(features)
        reasons = []
        for column, feature in enumerate(self.pipeline.names):
            number = float(features[0, column])
            value = levels[feature] if feature in levels else None if np.isnan(number) else number
            reasons.append(Reason(feature, value, float(contributions[0, column])))
        reasons.sort(key=lambda reason: -abs(reason.contribution))
        return Explanation(name, forest.scale, float(expected), tuple(reasons))
