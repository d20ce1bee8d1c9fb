"""Whether a retraining is due, and why. Pure: counts in, a decision with its reasons out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fraud.errors import SettingsError


@dataclass(frozen=True, slots=True)
class RetrainPolicy:
    """When a challenger is worth its training, and one more use of the held-out window.

    Attributes
    ----------
    min_labels : labels that the champion was not taught, from which it is retrained
    min_frauds : how many of them must be frauds
    max_age_days : from this age of the champion on, anything new is enough; None for no limit
    on_alert : whether, while a monitoring alert fires, anything new is enough
    """

    min_labels: int = 1
    min_frauds: int = 0
    max_age_days: float | None = 30.0
    on_alert: bool = True

    def __post_init__(self) -> None:
        for name in ("min_labels", "min_frauds", "max_age_days"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise SettingsError(f"{name} of the retraining policy must be 0 or more.", field=name)

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known before anything is trained.

    Attributes
    ----------
    n_labels : labels that can be used, matured and decided
    n_new, n_new_frauds : those of them that the champion was not taught
    n_gone : labels that it was taught and that count no more, withdrawn ones among them
    n_waiting : contents in quarantine
    base_changed : whether the base table is another than the champion's
    age_days : of the champion
    firing : keys of the monitoring alerts that fire
    built : the version that was built from these very inputs, if there is one
    refused : the run that trained and refused these very inputs, if there is one
    forced : somebody asked for it
    """

    n_labels: int = 0
    n_new: int = 0
    n_new_frauds: int = 0
    n_gone: int = 0
    n_waiting: int = 0
    base_changed: bool = False
    age_days: float = 0.0
    firing: Sequence[str] = ()
    built: str | None = None
    refused: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to train, with the reasons for it or against it."""

    due: bool
    reasons: tuple[str, ...]


def decide_retraining(situation: Situation, policy: RetrainPolicy) -> Decision:
    """Return whether a retraining is due."""
    if situation.forced:
        return Decision(True, ("it was asked for",))
    if situation.built is not None:
        reason = f"version {situation.built} was already built from this dataset revision"
        return Decision(False, (f"{reason}; use --force to build another",))
    if situation.refused is not None:
        reason = f"run {situation.refused} trained on these very inputs and the gate refused it"
        return Decision(False, (f"{reason}; see its report, or use --force to try again",))
    if not (situation.n_new or situation.n_gone or situation.base_changed):
        return Decision(False, (_nothing_new(situation),))
    reasons = _reasons(situation, policy)
    return Decision(True, tuple(reasons)) if reasons else Decision(False, (_not_enough(situation, policy),))


def _reasons(situation: Situation, policy: RetrainPolicy) -> list[str]:
    reasons = []
    # A withdrawal is a promise to somebody, whatever the counts say.
    if situation.n_gone:
        reasons.append(f"{_labels(situation.n_gone)} that the champion was taught count no more")
    if situation.base_changed:
        reasons.append("the base table is another than the champion's")
    enough = situation.n_new >= policy.min_labels and situation.n_new_frauds >= policy.min_frauds
    if situation.n_new and enough:
        reasons.append(f"{_labels(situation.n_new)} are new, {situation.n_new_frauds} of them frauds")
    if policy.on_alert and situation.firing:
        shown = ", ".join(list(situation.firing)[:5])
        reasons.append(f"monitoring alerts are firing ({shown})")
    if policy.max_age_days is not None and situation.age_days >= policy.max_age_days:
        reasons.append(f"the champion is {situation.age_days:.0f} days old ({policy.max_age_days:g} allowed)")
    return reasons


def _nothing_new(situation: Situation) -> str:
    if situation.n_labels == 0:
        waiting = situation.n_waiting
        hint = f"; {waiting} wait in quarantine, which --quarantine-days 0 ends" if waiting else ""
        reason = f"the dataset holds no label that can be used yet{hint}"
    else:
        reason = f"the champion was taught all {situation.n_labels} labels of the dataset"
    if situation.firing:
        reason += (
            f"; {len(situation.firing)} monitoring alerts are firing, and only more labels or a newer base "
            "table (--data) can change the answer to them"
        )
    return reason


def _not_enough(situation: Situation, policy: RetrainPolicy) -> str:
    return (
        f"{_labels(situation.n_new)} are new, {situation.n_new_frauds} of them frauds, and "
        f"{policy.min_labels} with {policy.min_frauds} frauds are needed; FRAUD_RETRAIN_MIN_LABELS and "
        "FRAUD_RETRAIN_MIN_FRAUDS change that, --force trains anyway"
    )


def _labels(n: int) -> str:
    return f"{n} label{'' if n == 1 else 's'}"
