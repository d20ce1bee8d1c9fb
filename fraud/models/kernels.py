"""Compiled loops over packed forests: scoring, and what explaining them needs once (`shapley` does it).

Nothing here checks its input: `fraud.models.engine` refuses a forest that could lead a loop out of bounds.

Two things make scoring fast. Many descents advance in turns, so that their cache misses overlap; and the
next node is chosen, not branched to, because a branch goes either way half of the time, and is only known
once its node has come. Unsigned indices matter: signed ones make numba test for negative (wrapped) indexing.

A single row meets a cold cache, because other work came before it: there, each tree's next node is asked for
a whole round before it is needed. Figures: docs/decisions/0041.
"""

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

NODE = np.dtype(
    [("split", "f4"), ("right", "u4"), ("feature", "u2"), ("missing_left", "u2"), ("value", "f4")]
)
"""A node: the left child is the next node; a leaf has a NaN split and is its own right child."""

EDGE = np.dtype([("ratio", "f8"), ("depth", "i4"), ("ancestor", "i4")])
"""The edge into a node: cover over the parent's cover, the node's depth, and the depth of the nearest node
above it whose incoming edge tests the same feature (-1: none)."""

LANES = 16
"""Rows that descend a tree together."""
TREES = 512
"""Trees that a single row descends together: so many that memory answers before a tree's turn returns."""
_ONE, _TWO = np.uint64(1), np.uint64(2)
_LOWEST = np.float32(-np.inf)


def input_array(dtype: types.Type, dimensions: int) -> types.Array:
    """Return the type of an array that a compiled loop only reads."""
    return types.Array(dtype, dimensions, "C", readonly=True)


NODES = input_array(nb.from_dtype(NODE), 1)
OFFSETS = input_array(types.int64, 1)
MATRIX = input_array(types.float32, 2)
# The error model spares the loops a test for division by zero, which cannot happen in them.
OPTIONS = {"cache": True, "nogil": True, "fastmath": False, "error_model": "numpy"}


@intrinsic
def _prefetch(typing: Any, array: Any, at: Any) -> Any:
    """Begin to load `array[at]` into the cache, and wait for nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.IntType(32)
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(held.data, [arguments[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        builder.call(prefetch, [address, number(0), number(3), number(1)])  # to read, into every cache, data
        return context.get_dummy_value()

    return types.void(array, at), generate


@intrinsic
def _choose(typing: Any, condition: Any, yes: Any, no: Any) -> Any:
    """Return `yes` or `no` without a branch: LLVM may make one of any other way to write this."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        chosen = builder.select(*arguments)
        chosen.set_metadata("unpredictable", builder.module.add_metadata([]))
        return chosen

    return yes(types.boolean, yes, yes), generate


@nb.njit(types.float64(NODES, OFFSETS, MATRIX, types.int64), **OPTIONS)
def score_row(
    nodes: NDArray[np.void],
    offsets: NDArray[np.int64],
    x: NDArray[np.float32],
    row: int,
) -> float:
    """Return the sum of every tree's output for `x[row]`, added up in the order of the trees."""
    n_features = x.shape[1]
    # Each value twice: where missing ones go right (NaN is below no split), and where they go left.
    values = np.empty(2 * n_features, np.float32)
    for feature in range(n_features):
        given = x[row, feature]
        values[2 * feature] = given
        values[2 * feature + 1] = given if given == given else _LOWEST
    at = np.empty(TREES, np.uint64)
    waiting = np.empty(TREES, np.uint64)  # the trees whose leaf is not reached yet
    total = 0.0
    for first in range(0, offsets.size - 1, TREES):
        n_trees = min(TREES, offsets.size - 1 - first)
        for j in range(n_trees):
            at[j] = offsets[first + j]
            waiting[j] = j
            _prefetch(nodes, offsets[first + j])
        n_waiting = np.int64(n_trees)
        while n_waiting > 0:
            n_left = np.uint64(0)
            for j in range(n_waiting):
                tree = waiting[np.uint64(j)]
                here = at[tree]
                node = nodes[here]
                value = values[_TWO * np.uint64(node.feature) + np.uint64(node.missing_left)]
                child = _choose(value <= node.split, here + _ONE, np.uint64(node.right))
                _prefetch(nodes, child)
                at[tree] = child
                waiting[n_left] = tree
                n_left += np.uint64(child != here)
            n_waiting = np.int64(n_left)
        for j in range(n_trees):
            total += nodes[at[np.uint64(j)]].value
    return total


score_row_unchecked = score_row.overloads[score_row.signatures[0]].entry_point
"""`score_row` without numba's dispatcher, which looks at the type of each argument: arguments of other types
are read as if they were right. Between other work, for both models, the dispatcher takes 9 us."""


@nb.njit(types.void(NODES, OFFSETS, OFFSETS, MATRIX, types.float64[::1]), **OPTIONS)
def score_rows(
    nodes: NDArray[np.void],
    offsets: NDArray[np.int64],
    depths: NDArray[np.int64],
    x: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    """Add every tree's output to `out` [n], sixteen rows at a time; sums in the order of `score_row`."""
    at = np.empty(LANES, np.uint64)
    n_whole = x.shape[0] // LANES * LANES
    block = 512  # rows that stay in the cache while all trees pass over them
    for start in range(0, n_whole, block):
        stop = min(start + block, n_whole)
        for tree in range(depths.size):
            for row in range(start, stop, LANES):
                rows = x[row : row + LANES]
                for lane in range(LANES):
                    at[lane] = offsets[tree]
                for _ in range(depths[tree]):
                    for lane in range(LANES):
                        node = nodes[at[lane]]
                        value = rows[np.uint64(lane), np.uint64(node.feature)]
                        left = (value <= node.split) | ((value != value) & (node.missing_left != 0))
                        at[lane] = _choose(left, at[lane] + _ONE, np.uint64(node.right))
                for lane in range(LANES):
                    out[row + lane] += nodes[at[lane]].value
    for row in range(n_whole, x.shape[0]):
        out[row] += score_row(nodes, offsets, x, row)


@nb.njit(
    types.void(input_array(types.int16, 1), OFFSETS, types.uint32[::1], types.int32[::1], types.int64[::1]),
    **OPTIONS,
)
def lay_out(
    feature: NDArray[np.int16],
    offsets: NDArray[np.int64],
    right: NDArray[np.uint32],
    depth: NDArray[np.int32],
    max_depths: NDArray[np.int64],
) -> None:
    """Fill the right child (a leaf: itself) and depth of every node, and each tree's depth, from preorder."""
    waiting = np.empty(feature.size, np.int64)  # split nodes whose right child is still to come
    for tree in range(max_depths.size):
        n_waiting = 0
        level = 0
        for k in range(offsets[tree], offsets[tree + 1]):
            depth[k] = level
            max_depths[tree] = max(max_depths[tree], level)
            if feature[k] >= 0:
                waiting[n_waiting] = k
                n_waiting += 1
                level += 1
            else:
                right[k] = k
                if n_waiting > 0:
                    n_waiting -= 1
                    right[waiting[n_waiting]] = k + 1
                    level = depth[waiting[n_waiting]] + 1


@nb.njit(
    types.Tuple((types.float64, types.int64))(
        NODES, OFFSETS, input_array(types.float32, 1), types.int64, types.Array(nb.from_dtype(EDGE), 1, "C")
    ),
    **OPTIONS,
)
def weigh_edges(
    nodes: NDArray[np.void],
    offsets: NDArray[np.int64],
    cover: NDArray[np.float32],
    max_depth: int,
    edges: NDArray[np.void],
) -> tuple[float, int]:
    """Fill ratio and ancestor of `edges`, whose depth is known.

    Returns the sum over trees of the cover-weighted mean output, and the largest number of distinct features
    on one path.
    """
    path = np.empty(max_depth + 1, np.int64)
    reach = np.empty(max_depth + 1)
    distinct = np.empty(max_depth + 1, np.int64)
    expected = 0.0
    most = 0
    for tree in range(offsets.size - 1):
        for k in range(offsets[tree], offsets[tree + 1]):
            depth = edges[k].depth
            path[depth] = k
            ratio = 1.0
            ancestor = -1
            if depth > 0:
                parent = path[depth - 1]
                # Nothing reached the parent, so nothing says how it would divide; any division that adds up
                # keeps the explanation exact, because the weight of the parent itself is 0.
                ratio = np.float64(cover[k]) / np.float64(cover[parent]) if cover[parent] > 0 else 0.5
                for level in range(depth - 1, 0, -1):
                    if nodes[path[level - 1]].feature == nodes[parent].feature:
                        ancestor = level
                        break
            edges[k].ratio = ratio
            edges[k].ancestor = ancestor
            reach[depth] = 1.0 if depth == 0 else reach[depth - 1] * ratio
            distinct[depth] = 0 if depth == 0 else distinct[depth - 1] + (1 if ancestor < 0 else 0)
            most = max(most, distinct[depth])
            if np.int64(nodes[k].right) == k:
                expected += reach[depth] * nodes[k].value
    return expected, most
