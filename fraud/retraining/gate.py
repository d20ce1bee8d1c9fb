"""Whether a challenger may replace the champion: evidence in, a verdict out. Pure.

fraud/retraining/evidence.py measures; fraud/retraining/gate_texts.py says it in words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.models.evaluate import Estimate, Ranking
from fraud.retraining.slice_gate import SliceFinding, SliceFindings, SlicePolicy

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How much worse a challenger may be, and how much evidence is needed.

    Attributes
    ----------
    margin_ap, margin_f1 : what the lower 95% bounds of the overall differences must stay above, negated
    min_frauds : held-out frauds below which nothing is judged
    n_bootstrap, seed : of the paired bootstrap
    slices : the rule for slices
    max_calibration_error : largest expected calibration error, as a share of the fraud rate
    calibration_slack : or this many times the champion's, where that is larger
    max_latency_ratio, latency_floor_ms : the challenger's p50 may be this many times the champion's, and is
        never too slow below the floor
    max_bytes : of all files of a release
    alert_slack : how far above the profile's alerts a day, or the champion's if those are more
    gold_budget : how often one held-out window may judge (ease.ml/ci counts the same)
    """

    margin_ap: float = 0.02
    margin_f1: float = 0.02
    min_frauds: int = 50
    n_bootstrap: int = 500
    seed: int = 7
    slices: SlicePolicy = SlicePolicy()  # noqa: RUF009 (frozen)
    max_calibration_error: float = 0.5
    calibration_slack: float = 1.25
    max_latency_ratio: float = 1.5
    latency_floor_ms: float = 0.2
    max_bytes: int = 100_000_000
    alert_slack: float = 1.1
    gold_budget: int = 50

    @classmethod
    def of_margin(cls, margin: float, gold_budget: int = 50) -> "GatePolicy":
        """Return the policy whose overall margins are `margin`; a wider one widens those of slices alike."""
        usual = cls()
        slices = usual.slices.widened(max(1.0, margin / usual.margin_f1))
        return cls(margin_ap=margin, margin_f1=margin, slices=slices, gold_budget=gold_budget)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule applied: `code` names its sentence in gate_texts, `params` fill it, `model` may be empty."""

    code: str
    passed: bool
    params: Mapping[str, Any]
    model: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"check": self.code, "model": self.model, "passed": self.passed, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer: every rule that was applied, and what each came to."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule refused."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[Check, ...]:
        """The refusals; or, of a pass, everything that spoke for it."""
        return tuple(check for check in self.checks if not check.passed) or self.checks


@dataclass(frozen=True, slots=True)
class Alerts:
    """One model's held-out probabilities and its alert cut-off."""

    probability: F64
    threshold: float

    @property
    def raised(self) -> NDArray[np.bool_]:
        """Which rows it alerts on."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger minus champion on the same rows: differences with 95% intervals from a paired bootstrap."""

    n_frauds: int
    difference_ap: Estimate
    difference_f1: Estimate

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {
            "n_frauds": self.n_frauds,
            "difference_ap": self.difference_ap.to_json(),
            "difference_f1": self.difference_f1.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Both:
    """One figure of the champion and of the challenger."""

    champion: float
    challenger: float

    def to_json(self) -> dict[str, float]:
        """Return a JSON object with six decimals."""
        return {"champion": round(self.champion, 6), "challenger": round(self.challenger, 6)}


@dataclass(frozen=True, slots=True)
class ModelEvidence:
    """One model of each bundle, compared.

    Attributes
    ----------
    calibration : expected calibration error over ten equal bins, as a share of the fraud rate
    alerts_per_day : None without time
    latency_ms : median of scoring one transaction with the serving engine
    only_champion_right, only_challenger_right, mcnemar_p : reported, never judged by: with so few frauds
        it is a test of false alarms
    """

    comparison: Comparison
    calibration: Both
    alerts_per_day: Both | None
    latency_ms: Both
    only_champion_right: int
    only_challenger_right: int
    mcnemar_p: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return self.comparison.to_json() | {
            "calibration_error_of_fraud_rate": self.calibration.to_json(),
            "alerts_per_day": None if self.alerts_per_day is None else self.alerts_per_day.to_json(),
            "latency_p50_ms": self.latency_ms.to_json(),
            "mcnemar": {
                "only_champion_right": self.only_champion_right,
                "only_challenger_right": self.only_challenger_right,
                "p": round(self.mcnemar_p, 6),
            },
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the gate looks at.

    Attributes
    ----------
    n_bytes : of all files of each release
    alert_budget : the profile's alerts a day, None without one
    schema_changes : what a client would notice of the fields and of what a label means
    is_major : whether the challenger's version announces that
    gold_uses : how often the held-out window has judged, this time included
    at_equal_alerts : whether both versions were judged at what the rule sets on the window's own traffic
    """

    models: Mapping[str, ModelEvidence]
    slices: SliceFindings
    n_bytes: Both
    alert_budget: float | None
    schema_changes: Sequence[str]
    is_major: bool
    gold_uses: int
    at_equal_alerts: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "models": {name: model.to_json() for name, model in self.models.items()},
            "slices": {
                "n_too_small": self.slices.n_too_small,
                "judged": [finding.to_json() for finding in self.slices.judged],
            },
            "bytes": self.n_bytes.to_json(),
            "alert_budget_per_day": self.alert_budget,
            "schema_changes": list(self.schema_changes),
            "gold_uses": self.gold_uses,
            "at_equal_alerts": self.at_equal_alerts,
        }


def compare(labels: F64, champion: Alerts, challenger: Alerts, policy: GatePolicy) -> Comparison:
    """Return the paired differences; every replicate weighs both models' rows alike."""
    rankings = [Ranking.of(labels, alerts.probability) for alerts in (champion, challenger)]
    flagged = [alerts.raised.astype(np.float64) for alerts in (champion, challenger)]

    def difference(weights: F64) -> tuple[float, float]:
        ap = [ranking.auc_and_ap(weights)[1] for ranking in rankings]
        f1 = [_f1(labels, alerts, weights) for alerts in flagged]
        return ap[1] - ap[0], f1[1] - f1[0]

    rng = np.random.default_rng(policy.seed)
    draws = [difference(rng.poisson(1.0, len(labels)).astype(float)) for _ in range(policy.n_bootstrap)]
    replicates = np.array(draws)
    low, high = np.nanquantile(replicates, [0.025, 0.975], axis=0)
    point = difference(np.ones(len(labels)))
    ap, f1 = (Estimate(point[i], float(low[i]), float(high[i])) for i in range(2))
    return Comparison(int((labels == 1).sum()), ap, f1)


def judge(evidence: Evidence, policy: GatePolicy) -> Verdict:
    """Return whether the challenger is about as good as the champion at least, everywhere."""
    checks: list[Check] = []
    for name, model in evidence.models.items():
        checks += judge_comparison(name, model.comparison, policy)
        checks += _model_checks(name, model, evidence.alert_budget, policy)
    checks += _slice_checks(evidence.slices, policy)
    size = {"bytes": evidence.n_bytes.challenger, "limit": policy.max_bytes}
    checks.append(Check("size", evidence.n_bytes.challenger <= policy.max_bytes, size))
    changes = {"changes": "; ".join(evidence.schema_changes)}
    checks.append(Check("schema", evidence.is_major or not evidence.schema_changes, changes))
    gold = {"uses": evidence.gold_uses, "budget": policy.gold_budget}
    checks.append(Check("gold", evidence.gold_uses <= policy.gold_budget, gold))
    return Verdict(tuple(checks))


def judge_comparison(name: str, comparison: Comparison, policy: GatePolicy) -> Iterator[Check]:
    """Yield the overall checks of one model."""
    enough = {"n": comparison.n_frauds, "needed": policy.min_frauds}
    yield Check("evidence", comparison.n_frauds >= policy.min_frauds, enough, name)
    for metric, estimate, margin in (
        ("ap", comparison.difference_ap, policy.margin_ap),
        ("f1", comparison.difference_f1, policy.margin_f1),
    ):
        low = -np.inf if estimate.low is None else estimate.low
        params = estimate.to_json() | {"metric": metric, "margin": margin, "improved": low > 0}
        yield Check("margin", bool(low > -margin), params, name)


def _model_checks(
    name: str, model: ModelEvidence, alert_budget: float | None, policy: GatePolicy
) -> Iterator[Check]:
    limit = max(policy.max_calibration_error, model.calibration.champion * policy.calibration_slack)
    error = model.calibration.challenger
    yield Check("calibration", error <= limit, {"error": error, "limit": limit}, name)
    old, new = model.latency_ms.champion, model.latency_ms.challenger
    slowest = max(policy.latency_floor_ms, old * policy.max_latency_ratio)
    yield Check("latency", new <= slowest, {"ms": new, "champion": old, "limit": slowest}, name)
    if alert_budget is not None and model.alerts_per_day is not None:
        most = policy.alert_slack * max(alert_budget, model.alerts_per_day.champion)
        alerts = model.alerts_per_day.challenger
        params = {"alerts": alerts, "budget": alert_budget, "limit": most}
        yield Check("alerts", alerts <= most, params, name)


def _slice_checks(slices: SliceFindings, policy: GatePolicy) -> list[Check]:
    if slices.harmed:
        return [Check(f"slice_{f.metric}", False, _slice_params(f), f.model) for f in slices.harmed]
    params = {
        "n": len({finding.slice for finding in slices.judged}),
        "n_too_small": slices.n_too_small,
        "needed": policy.slices.min_frauds,
    }
    return [Check("slices", True, params)]


def _slice_params(finding: SliceFinding) -> dict[str, Any]:
    return {k: v for k, v in finding.to_json().items() if k not in ("model", "metric", "harmed")}


def _f1(labels: F64, flagged: F64, weights: F64) -> float:
    total = float((weights * (flagged + labels)).sum())
    return 2 * float((weights * labels * flagged).sum()) / total if total else 0.0
