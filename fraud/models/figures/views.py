"""What a figure shows, in words and numbers, before anything is drawn.

A view is drawn twice: as a PNG (`drawing`) and as a plot of the page (`interactive`), so that both say the
same. Shares are between 0 and 1; the drawers write percentages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
INK, MUTED, FAINT, LINE = "#1f2430", "#5b6472", "#98a1b0", "#e1e5eb"
"""Inks that the figures share with the page."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
"""Fonts of plots: the visitor's own."""
Style = Literal["solid", "dashed", "dotted", "points"]


def plain(words: str) -> str:
    """Return text that plotly's little HTML shows as it is: names of columns and levels come from clients."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


@dataclass(frozen=True)
class Confusion:
    """Four counts with their shares of the row; row 0 is legitimate, column 0 approved."""

    title: str
    note: str
    rows: tuple[str, str]
    columns: tuple[str, str]
    counts: tuple[tuple[int, int], tuple[int, int]]
    names: tuple[tuple[str, str], tuple[str, str]]
    shares: tuple[tuple[str, str], tuple[str, str]]
    shown_counts: tuple[tuple[str, str], tuple[str, str]]
    colour: str

    def rate(self, row: int, column: int) -> float:
        """Return a cell's share of its row; 0 of an empty row."""
        total = sum(self.counts[row])
        return self.counts[row][column] / total if total else 0.0


@dataclass(frozen=True)
class Series:
    """One line or set of points; `low` and `high` are its 95% limits, where it has any."""

    name: str
    colour: str
    x: F64
    y: F64
    low: F64 | None = None
    high: F64 | None = None
    style: Style = "solid"


@dataclass(frozen=True)
class Mark:
    """A point to look at, with its words above or below it."""

    x: float
    y: float
    words: str
    colour: str
    above: bool = True


@dataclass(frozen=True)
class Axis:
    """An axis: its words, whether it is logarithmic, and whether its numbers are shares."""

    words: str
    logarithmic: bool = False
    percent: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Lines:
    """Series over two axes; `vertical` marks an x with words, `diagonal` where y equals x."""

    title: str
    note: str
    series: Sequence[Series]
    x: Axis
    y: Axis
    marks: Sequence[Mark] = ()
    vertical: tuple[float, str] | None = None
    diagonal: str = ""


@dataclass(frozen=True)
class Points:
    """One series of a dot plot: a value for each group, NaN where it is not told."""

    name: str
    colour: str
    values: F64
    low: F64
    high: F64


@dataclass(frozen=True)
class Dots:
    """Groups from top to bottom, each with a point and an interval for every series.

    `untold` is said of a group for which no series has a value; `reference` is a value to compare with.
    """

    title: str
    note: str
    groups: Sequence[str]
    series: Sequence[Points]
    axis: Axis
    bars: bool = False
    reference: float | None = None
    untold: str = ""


@dataclass(frozen=True)
class Beside:
    """Two panels under one title."""

    title: str
    note: str
    left: Lines | Dots
    right: Lines | Dots


View = Confusion | Lines | Dots | Beside


def tint(colour: str, rate: float) -> str:
    """Return a shade for a cell, pale at a rate of 0 and never darker than ink can be read on."""
    strength = 0.05 + 0.5 * rate
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (channel - 255) * strength):02x}" for channel in channels)
