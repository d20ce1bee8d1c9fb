"""One packed form for both models: flat arrays that are scored and explained without pickle.

A forest of either library becomes the nodes of all its trees in preorder (a node's left child is the next
node). The order and the leaves determine every other child, so no file can hold a cycle or an index out of
range. Serving imports neither scikit-learn nor XGBoost; numba is imported at the first use of a forest.
"""

import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraud.errors import BundleRefused

if TYPE_CHECKING:
    from types import ModuleType

FORMAT = 1
MAX_DEPTH = 256
MAX_NODES = 10_000_000
MAX_FEATURES = np.iinfo(np.int16).max
MANY_ROWS = 256
"""From so many rows on, the loops for tables (`many_rows`) cost less; both give the same sums."""
_SCALES: tuple[Literal["probability"], Literal["log_odds"]] = ("probability", "log_odds")
_ARRAYS = {"split": "<f4", "feature": "<i2", "missing_left": "|b1", "cover": "<f4", "offsets": "<i4"}
_HEADER = struct.Struct("<iiid")
LEAF = -1


@dataclass(frozen=True, eq=False)
class _Explained:
    """What explaining a forest needs, made once: `kernel` and its arguments, and the mean raw output."""

    kernel: Callable[..., None]
    steps: NDArray[np.void]
    offsets: NDArray[np.int64]
    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_slots: int
    expected: float


@dataclass(frozen=True, eq=False)
class PackedForest:
    """Trees as flat arrays, valid from construction on.

    Attributes
    ----------
    split : float32 [n_nodes]
        A split node's threshold (x goes left if `x <= split`), or a leaf's output.
    feature : int16 [n_nodes]
        The feature that a split node tests; -1 marks a leaf.
    missing_left : bool [n_nodes]
        Whether NaN goes left.
    cover : float32 [n_nodes]
        Weight of the training rows that reached the node (XGBoost: sum of their Hessians).
    offsets : int32 [n_trees + 1]
        Where each tree begins; the last is n_nodes.
    base : float
        Added to the sum of tree outputs on the log-odds scale; 0 on the probability scale.
    scale : {"probability", "log_odds"}
        Whether `raw` is the mean of the trees' probabilities, or `base` plus the sum of their log-odds.
    n_features : int
        Columns of the input.

    Raises
    ------
    BundleRefused
        If the arrays are not well-formed trees.
    """

    split: NDArray[np.float32]
    feature: NDArray[np.int16]
    missing_left: NDArray[np.bool_]
    cover: NDArray[np.float32]
    offsets: NDArray[np.int32]
    base: float
    scale: Literal["probability", "log_odds"]
    n_features: int

    def __post_init__(self) -> None:
        _check(self)
        for name in _ARRAYS:
            # A view of its own: the caller's array stays writable, this one never is.
            array = getattr(self, name).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        require(bool(self._layout[2].max() <= MAX_DEPTH), f"a tree is deeper than {MAX_DEPTH}")

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return self.offsets.size - 1

    @cached_property
    def _kernels(self) -> "ModuleType":
        from fraud.models import kernels  # imports numba, and compiles on a machine's first use

        return kernels

    @cached_property
    def _layout(self) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64], NDArray[np.void]]:
        """Nodes and offsets as the kernels read them, the depth of each tree, and edges with their depth."""
        leaf = self.feature == LEAF
        nodes = np.zeros(leaf.size, self._kernels.NODE)
        edges = np.zeros(leaf.size, self._kernels.EDGE)
        offsets = self.offsets.astype(np.int64)
        depths = np.zeros(self.n_trees, np.int64)
        right, depth = np.empty(leaf.size, np.uint32), np.empty(leaf.size, np.int32)
        self._kernels.lay_out(self.feature, offsets, right, depth, depths)
        nodes["split"] = np.where(leaf, np.float32(np.nan), self.split)
        nodes["value"] = np.where(leaf, self.split, np.float32(0))
        nodes["feature"] = np.where(leaf, 0, self.feature)
        nodes["missing_left"] = self.missing_left & ~leaf
        nodes["right"] = right
        edges["depth"] = depth
        return nodes, offsets, depths, edges

    @cached_property
    def _add_many(self) -> Callable[[NDArray[np.float32], NDArray[np.float64]], None]:
        from fraud.models import many_rows

        nodes, offsets, depths, _ = self._layout
        return many_rows.adder(nodes, offsets, depths)

    @cached_property
    def _explanation(self) -> "_Explained":
        from fraud.models import shapley

        nodes, offsets, depths, edges = self._layout
        total, distinct = self._kernels.weigh_edges(nodes, offsets, self.cover, int(depths.max()), edges)
        leaf = self.feature == LEAF
        left = np.zeros(leaf.size, bool)
        left[1:] = ~leaf[:-1]  # preorder: what follows a split is its left child
        steps = np.zeros(leaf.size, shapley.STEP)
        steps["split"], steps["cover"] = self.split, self.cover
        steps["feature"] = np.where(leaf, 0, self.feature)
        steps["slot"], steps["above"] = edges["depth"] + 1, edges["ancestor"] + 1
        steps["is"] = (
            leaf * shapley.IS_LEAF
            + left * shapley.IS_LEFT
            + (self.missing_left & ~leaf) * shapley.MISSING_LEFT
        )
        adds = ~leaf | (self.split != 0)
        # m points are exact up to degree 2 m - 1; with D distinct features on a path the degree is D - 1.
        n_points = shapley.LANES * max(1, math.ceil(distinct / (2 * shapley.LANES)))
        t, weights = np.polynomial.legendre.leggauss(n_points)
        return _Explained(
            shapley.explain_row,
            steps[adds],
            np.concatenate([np.zeros(1, np.int64), np.cumsum(adds)])[offsets],
            (t + 1) / 2,
            weights / 2,
            int(depths.max()) + 2,
            self._combine(total),
        )

    def _combine(self, total: Any) -> Any:
        return total / self.n_trees if self.scale == "probability" else self.base + total

    def _raw_of_one(self, x: NDArray[np.float32]) -> float:
        """Return `raw` of `x` [1, n_features] as a number: arithmetic on it costs less than on an array."""
        nodes, offsets, _, _ = self._layout
        total = self._kernels.score_row_unchecked(nodes, offsets, x, 0)
        return self._combine(total)  # type: ignore[no-any-return]

    def raw(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the output that `contributions` explains: a probability, or log-odds.

        Parameters
        ----------
        x : float32 [n, n_features]
            Anything wider is rounded to float32 first, as both libraries do. NaN means missing.

        Returns
        -------
        float64 [n]
            A row's result does not depend on the other rows.
        """
        x = self._rows(x)
        if x.shape[0] == 1:
            return np.array([self._raw_of_one(x)])
        nodes, offsets, depths, _ = self._layout
        total = np.zeros(x.shape[0])
        if x.shape[0] >= MANY_ROWS:
            self._add_many(x, total)
        else:
            self._kernels.score_rows(nodes, offsets, depths, x, total)
        return self._combine(total)  # type: ignore[no-any-return]

    def probability(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(class 1) [n] of the rows of `x` [n, n_features], not calibrated."""
        if self.scale == "probability":
            return self.raw(x)
        # tanh cannot overflow: 1 / (1 + exp(-r)) = (1 + tanh(r / 2)) / 2.
        x = self._rows(x)
        if x.shape[0] == 1:
            return np.array([0.5 + 0.5 * float(np.tanh(0.5 * self._raw_of_one(x)))])
        return 0.5 + 0.5 * np.tanh(0.5 * self.raw(x))

    def contributions(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """Return exact path-dependent Shapley values of `raw` (see `shapley.explain_row`).

        Returns
        -------
        phi : float64 [n, n_features]
            In the unit of `raw`; `phi.sum(axis=1) + expected` equals `raw(x)`.
        expected : float
            The cover-weighted mean output.
        """
        x = self._rows(x)
        explained = self._explanation
        phi = np.empty(x.shape)
        for row, values in enumerate(x):
            shares = np.zeros((self.n_features, explained.points.size))
            explained.kernel(
                explained.steps,
                explained.offsets,
                values,
                explained.points,
                explained.n_slots,
                shares.ravel(),
            )
            phi[row] = shares @ explained.weights
        if self.scale == "probability":
            phi /= self.n_trees
        return phi, explained.expected

    def warm_up(self) -> None:
        """Load (or compile) and run every kernel once, so that no request pays for it."""
        rows = np.zeros((2, self.n_features), np.float32)
        self.raw(rows)
        self.raw(rows[:1])
        self.contributions(rows[:1])

    def _rows(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        x = np.ascontiguousarray(x, np.float32)
        if x.ndim != 2 or x.shape[1] != self.n_features:
            # Not a user's mistake but a caller's, and the kernels check no bounds.
            raise ValueError(f"x has shape {x.shape}, expected (n, {self.n_features})")
        return x

    def save(self, path: Path) -> None:
        """Write an .npz; equal forests give equal bytes."""
        header = np.frombuffer(
            _HEADER.pack(FORMAT, _SCALES.index(self.scale), self.n_features, self.base), np.uint8
        )
        with path.open("wb") as file:  # given a name, numpy would append a suffix
            np.savez_compressed(file, header=header, **{name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def load(cls, path: Path) -> "PackedForest":
        """Read a forest, refusing whatever `save` would not have written.

        Raises
        ------
        BundleRefused
            With one sentence that says what is wrong.
        """
        try:
            arrays = _read_arrays(path)
        except BundleRefused:
            raise
        except Exception as error:
            # zipfile, zlib and numpy raise a dozen kinds of error over damaged bytes; all mean the same here.
            raise BundleRefused(f"{path.name} cannot be read as a packed forest: {error}") from error
        version, scale, n_features, base = _HEADER.unpack(arrays.pop("header").tobytes())
        require(version == FORMAT, f"{path.name} has format {version}, this release reads {FORMAT}")
        require(scale in (0, 1), f"{path.name} names an unknown scale")
        require(arrays["missing_left"].view(np.uint8).max(initial=0) <= 1, "missing_left is not boolean")
        return cls(**arrays, base=base, scale=_SCALES[scale], n_features=n_features)


def require(condition: bool, problem: str) -> None:
    """Raise BundleRefused with the problem unless the condition holds."""
    if not condition:
        raise BundleRefused(f"The packed forest is refused: {problem}.")


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz, allocating no more than a forest of `MAX_NODES` needs."""
    wanted = {"header": "|u1", **_ARRAYS}
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = sorted(member.filename for member in members)
        require(names == sorted(f"{name}.npy" for name in wanted), f"{path.name} holds other arrays")
        for member in members:
            name = member.filename.removesuffix(".npy")
            dtype = np.dtype(wanted[name])
            # A header may promise any shape and a small archive may inflate without end: sizes come first.
            require(member.file_size <= MAX_NODES * dtype.itemsize, f"{name} is too large")
            content = io.BytesIO(archive.read(member))
            major = np.lib.format.read_magic(content)[0]
            require(major == 1, f"{name} has an unknown header")
            shape, _, found = np.lib.format.read_array_header_1_0(content)
            require(found == dtype and len(shape) == 1, f"{name} is not a row of {dtype}")
            body = content.read()
            require(len(body) == shape[0] * dtype.itemsize, f"{name} is not as long as it says")
            arrays[name] = np.frombuffer(body, dtype)
    require(arrays["header"].size == _HEADER.size, "the header has another length")
    return arrays


def _check(forest: PackedForest) -> None:
    """Refuse arrays that are not well-formed trees, or whose outputs could not be finite."""
    n = forest.feature.size
    require(n <= MAX_NODES, f"{n} nodes, at most {MAX_NODES} are served")
    for name, kind in _ARRAYS.items():
        array = getattr(forest, name)
        require(array.dtype == np.dtype(kind) and array.ndim == 1, f"{name} is not a row of {kind}")
        require(array.flags.c_contiguous, f"{name} is not contiguous")
        require(name == "offsets" or array.size == n, f"{name} has {array.size} entries for {n} nodes")
    offsets = forest.offsets.astype(np.int64)
    require(offsets.size > 1 and offsets[0] == 0 and offsets[-1] == n, "the trees do not cover the nodes")
    require(bool((np.diff(offsets) > 0).all()), "a tree has no nodes")
    require(0 < forest.n_features <= MAX_FEATURES, f"{forest.n_features} features")
    leaf = forest.feature == LEAF
    require(bool((forest.feature >= LEAF).all()), "a feature is negative")
    require(bool((forest.feature < forest.n_features).all()), "a node tests a feature that does not exist")
    # In preorder, each split opens one more place than it fills. Within a tree a place is always open; at its
    # end none is. This alone makes every child lie inside its tree and after its parent.
    places = np.cumsum(np.where(leaf, -1, 1)) + np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    ends = offsets[1:] - 1
    require(bool((places[ends] == -1).all()), "a tree ends too early or too late")
    places[ends] = 0
    require(bool((places >= 0).all()), "a tree ends before its last node")
    require(not bool(np.isnan(forest.split).any()), "a threshold or leaf is NaN")
    require(bool(np.isfinite(forest.split[leaf]).all()), "a leaf is not finite")
    require(
        bool((np.isfinite(forest.cover) & (forest.cover >= 0)).all()), "a cover is negative or not finite"
    )
    require(math.isfinite(forest.base), "the base is not finite")
    if forest.scale == "probability":
        outputs = forest.split[leaf]
        require(forest.base == 0, "a mean of probabilities has no base")
        require(bool(((outputs >= 0) & (outputs <= 1)).all()), "a leaf is not a probability")


def largest_difference(
    forest: PackedForest,
    predict_proba: Callable[[NDArray[np.float32]], NDArray[Any]],
    x: NDArray[np.float32],
) -> float:
    """Return the largest absolute difference of P(class 1) between a forest and its original over `x`.

    `predict_proba` is the original's: float32 [n, n_features] to [n, 2]. A release with more than 1e-6 is
    to be refused.
    """
    return float(np.abs(forest.probability(x) - predict_proba(x)[:, 1]).max(initial=0.0))


def hard_rows(forest: PackedForest, n: int, seed: int) -> NDArray[np.float32]:
    """Return float32 [n, n_features] made to find differences: ties, their neighbours, NaN, -1 and extremes.

    Half of the values of a column are thresholds of that column or the next float32 on either side.
    """
    rng = np.random.default_rng(seed)
    special = np.array([np.nan, -1, 0, -0.0, 1e30, -1e30, 1e-45], np.float32)
    x = rng.normal(scale=3, size=(n, forest.n_features)).astype(np.float32)
    for column in range(forest.n_features):
        thresholds = forest.split[(forest.feature == column) & np.isfinite(forest.split)]
        kind = rng.random(n)
        odd = kind < 0.1
        x[odd, column] = rng.choice(special, odd.sum())
        near = kind > 0.5
        if thresholds.size:
            toward = rng.choice(np.array([-np.inf, np.inf], np.float32), near.sum())
            tie = rng.choice(thresholds, near.sum())
            x[near, column] = np.where(rng.random(near.sum()) < 0.5, tie, np.nextafter(tie, toward))
    return x
