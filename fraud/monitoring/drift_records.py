"""What a comparison of two stretches found: plain records, worded elsewhere."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fraud.models.reference import Kind

Verdict = Literal["ok", "drift", "insufficient evidence"]
Aspect = Literal["distribution", "missing", "unseen"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is: a code, and the figures that its sentence needs.

    Codes of a column: `distribution_changed`, `missing_changed`, `unseen_levels`, `effect_too_small`,
    `too_few_rows`, `nothing_to_compare`, `seen_in_like_period`, `window_shorter_than_a_week`.
    Codes of a report: `no_reference`, `no_rows`, `columns_drifted`, `no_column_drifted`, `nothing_judged`,
    `unreadable`.
    Assumptions: `day_variation_unknown`, `no_times`, `no_entities`, `same_entities`.
    """

    code: str
    params: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"code": self.code, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Test:
    """One question about one column.

    Attributes
    ----------
    name : "ks", "chi_squared" or "two_proportions"
    statistic : KS: the largest difference of the distribution functions; else chi-squared or z
    q_value : the p-value after Benjamini and Hochberg's correction over all tests of the report
    effect, minimum : the effect that is judged, and the smallest that counts; `effect_name` says which
    alert : q_value and effect both say so
    """

    aspect: Aspect
    name: str
    statistic: float
    p_value: float
    q_value: float
    effect_name: str
    effect: float
    minimum: float
    alert: bool


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column, then and now.

    Attributes
    ----------
    psi : over about ten groups of equal size, or the most frequent levels
    jensen_shannon : distance in [0, 1] over all bins
    wasserstein : in the column's unit; None for categories
    reference_share, current_share : of "yes", for rates
    effective_rows, effective_reference : what the rows of either stretch are worth in independent rows
    unseen_share : of levels that the reference does not have
    """

    name: str
    kind: Kind
    unit: str
    verdict: Verdict
    reasons: tuple[Reason, ...]
    tests: tuple[Test, ...]
    n_reference: int
    n_current: int
    effective_rows: float
    effective_reference: float
    psi: float | None = None
    jensen_shannon: float | None = None
    wasserstein: float | None = None
    reference_share: float | None = None
    current_share: float | None = None
    missing_reference: float = 0.0
    missing_current: float = 0.0
    unseen_share: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self) | {
            "reasons": [r.to_json() for r in self.reasons],
            "tests": list(map(asdict, self.tests)),
        }


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All columns of a window against the reference.

    Attributes
    ----------
    false_discovery_rate : the level of the correction
    assumptions : what the p-values rest on
    rows_per_day, reference_rows_per_day : volume; no test is made of it
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    columns: tuple[ColumnDrift, ...]
    n_rows: int
    n_days: int
    false_discovery_rate: float
    assumptions: tuple[Reason, ...] = ()
    rows_per_day: float | None = None
    reference_rows_per_day: float | None = None

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that drifted."""
        return tuple(column.name for column in self.columns if column.verdict == "drift")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self) | {
            "reasons": [reason.to_json() for reason in self.reasons],
            "columns": [column.to_json() for column in self.columns],
            "assumptions": [reason.to_json() for reason in self.assumptions],
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """One column's distributions for a figure.

    Attributes
    ----------
    edges : numbers: [bars + 1], the bars' limits; empty for levels
    levels : categories: [bars]; empty for numbers
    reference, current : [bars]; numbers: density by unit, levels: share
    outside_reference, outside_current : numbers: shares below the first edge, and above the last
    """

    name: str
    kind: Kind
    unit: str
    edges: tuple[float, ...]
    levels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    outside_reference: tuple[float, float] = (0.0, 0.0)
    outside_current: tuple[float, float] = (0.0, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)
