"""What differs between two releases, part by part. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from fraud.models.evaluate import Estimate
from fraud.models.summary import ReleaseSummary

Part = Literal["metrics", "thresholds", "parameters", "features", "recipe", "data", "sizes", "libraries"]
Value = Estimate | float | str | None
METRICS = (
    "f1", "ap", "precision", "recall", "auc", "brier", "calibration_error", "cost_per_1000", "alerts_per_day",
)  # fmt: skip
ALWAYS = frozenset({"metrics", "thresholds", "data", "sizes"})
"""Parts that are worth reading even where nothing changed; of the others only changes are listed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One line: `key` names what is compared, None stands for what a release does not say.

    `paired` is the gate's own estimate of the change on the same rows, where these two were compared by it.
    """

    part: Part
    key: str
    old: Value
    new: Value
    model: str = ""
    paired: Estimate | None = None

    @property
    def changed(self) -> bool:
        """Whether the two releases say something else."""
        return self.old != self.new

    @property
    def change(self) -> float | None:
        """New minus old; None where either is no number."""
        old, new = _point(self.old), _point(self.new)
        return None if old is None or new is None else new - old


@dataclass(frozen=True, slots=True)
class ReleaseDifference:
    """Two releases side by side.

    Attributes
    ----------
    lines : of every part that always counts, and the changes of the others
    n_same : part -> how many lines of it are the same in both
    same_window : whether both were judged on the same held-out transactions, as far as their counts tell
    """

    old: str
    new: str
    lines: tuple[Difference, ...]
    n_same: Mapping[str, int]
    same_window: bool

    def of(self, part: Part) -> tuple[Difference, ...]:
        """Return the lines of one part."""
        return tuple(line for line in self.lines if line.part == part)


def compare_releases(old: ReleaseSummary, new: ReleaseSummary) -> ReleaseDifference:
    """Return what differs from one release to another; `new` need not be the later one."""
    n_same: dict[str, int] = {}
    lines = []
    for line in _lines(old, new):
        if not line.changed:
            n_same[line.part] = n_same.get(line.part, 0) + 1
        if line.changed or line.part in ALWAYS:
            lines.append(line)
    test = [release.windows.get("test") for release in (old, new)]
    same_window = test[0] is not None and test[0] == test[1]
    return ReleaseDifference(old.version, new.version, tuple(lines), n_same, same_window)


def _lines(old: ReleaseSummary, new: ReleaseSummary) -> Iterator[Difference]:
    for model in _keys(old.models, new.models):
        yield from _of_model(model, old, new)
    for feature in _keys(dict.fromkeys(old.features), dict.fromkeys(new.features)):
        in_old, in_new = (feature if feature in side.features else None for side in (old, new))
        yield Difference("features", feature, in_old, in_new)
    for name in _keys(old.recipe, new.recipe):
        yield Difference("recipe", name, old.recipe.get(name), new.recipe.get(name))
    yield from _of_data(old, new)
    yield Difference("sizes", "total", float(old.n_bytes), float(new.n_bytes))
    yield Difference("sizes", "serving", float(old.n_bytes_serving), float(new.n_bytes_serving))
    for name in _keys(old.environment, new.environment):
        yield Difference("libraries", name, old.environment.get(name), new.environment.get(name))


def _of_model(model: str, old: ReleaseSummary, new: ReleaseSummary) -> Iterator[Difference]:
    before, after = old.models.get(model), new.models.get(model)
    sides: list[tuple[Part, Mapping[str, Value], Mapping[str, Value]]] = [
        ("metrics", {} if before is None else before.metrics, {} if after is None else after.metrics),
        (
            "thresholds",
            {} if before is None else before.thresholds,
            {} if after is None else after.thresholds,
        ),
        (
            "parameters",
            {} if before is None else before.parameters,
            {} if after is None else after.parameters,
        ),
    ]
    gate = new.feedback if new.feedback is not None and new.feedback.champion == old.version else None
    for part, was, now in sides:
        names: Iterable[str] = _keys(was, now)
        if part == "metrics":
            names = [name for name in METRICS if name in was or name in now]
        for name in names:
            paired = None
            if part == "metrics" and gate is not None:
                paired = gate.differences.get(model, {}).get(name)
            yield Difference(part, name, was.get(name), now.get(name), model, paired)


def _of_data(old: ReleaseSummary, new: ReleaseSummary) -> Iterator[Difference]:
    def line(key: str, of: Callable[[ReleaseSummary], Value]) -> Difference:
        return Difference("data", key, of(old), of(new))

    yield line("source", lambda release: release.source or None)
    yield line("data_digest", lambda release: release.data_digest)
    yield line("n_rows", lambda release: _float(release.n_rows))
    for name in _keys(old.windows, new.windows):
        yield line(f"{name}_rows", partial(_rows, name))
        yield line(f"{name}_window", partial(_stretch, name))
    yield line("dataset_revision", lambda r: None if r.feedback is None else r.feedback.dataset_revision)
    yield line("n_labels", lambda r: 0.0 if r.feedback is None else _float(r.feedback.n_labels))
    yield line("seed", lambda release: release.seed or None)


def _rows(window: str, release: ReleaseSummary) -> float | None:
    found = release.windows.get(window)
    return None if found is None else _float(found.n_rows)


def _stretch(name: str, release: ReleaseSummary) -> str | None:
    window = release.windows.get(name)
    if window is None or window.first_at is None or window.last_at is None:
        return None
    return f"{window.first_at} \N{EN DASH} {window.last_at}"


def _keys(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Return the keys of both, in their order, those of `old` first."""
    return list(dict.fromkeys([*old, *new]))


def _float(count: int | None) -> float | None:
    return None if count is None else float(count)


def _point(value: Value) -> float | None:
    if isinstance(value, Estimate):
        return value.value
    return value if isinstance(value, float) else None
