"""Draws views with matplotlib: the PNGs of a release and the pictures of the notebooks."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from fraud.formats import exact
from fraud.models.figures.views import INK, LINE, MUTED, Axis, Beside, Confusion, Dots, Lines, View, tint

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.axisbelow": True,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
_COLOURS = 128
_DPI, _WIDE_DPI = 130, 110
_STYLES = {"solid": "-", "dashed": (0, (4, 2)), "dotted": ":", "points": ""}


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def draw(view: View, language: str) -> Any:
    """Return a matplotlib Figure of a view; numbers on its axes are written as the language writes them.

    It is made without pyplot, so there is nothing to close and no display is needed.
    """
    from matplotlib.figure import Figure

    with _styled():
        if isinstance(view, Confusion):
            figure = Figure(figsize=(6.4, 5.2), dpi=_DPI, layout="constrained")
            _confusion(figure.subplots(), view)
        elif isinstance(view, Beside):
            n = max(len(p.groups) if isinstance(p, Dots) else 0 for p in (view.left, view.right))
            figure = Figure(figsize=(10.4, max(4.4, 1.6 + 0.34 * n)), dpi=_WIDE_DPI, layout="constrained")
            for axes, panel in zip(figure.subplots(1, 2), (view.left, view.right), strict=True):
                _panel(axes, panel, language)
                axes.set_title(panel.title, loc="left", fontsize=10.5, color=INK)
        else:
            height = 4.8 if isinstance(view, Lines) else 1.6 + _row_height(view) * len(view.groups)
            figure = Figure(figsize=(7.6, height), dpi=_DPI, layout="constrained")
            _panel(figure.subplots(), view, language)
        _entitle(figure, view)
    return figure


def save(view: View, path: Path, language: str) -> None:
    """Write a view as a PNG; equal views give equal bytes with the same version of matplotlib."""
    path.write_bytes(png(view, language))


def png(view: View, language: str) -> bytes:
    """Return a PNG of at most `_COLOURS` colours: flat figures need no more, and are a third as long."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(draw(view, language))
    with _styled():
        canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    written = BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(written, format="png", optimize=True)
    return written.getvalue()


@dataclass(frozen=True)
class Picture:
    """A view that a notebook shows as a PNG."""

    view: View
    language: str

    def __repr__(self) -> str:  # what a reader who is shown no picture gets
        return self.view.title

    def _repr_png_(self) -> bytes:
        return png(self.view, self.language)


def _row_height(view: Dots) -> float:
    return 0.3 if view.bars else 0.24 + 0.17 * len(view.series)


def _entitle(figure: Any, view: View) -> None:
    """Put title and note over the whole figure, flush left, the title broken where it is too long."""
    width = figure.get_figwidth()
    lines = _balanced(view.title, int(width * 8.9))
    notes = _balanced(view.note, int(width * 12.2))
    height = figure.get_figheight()
    line, small = 0.235, 0.185
    top = 0.12 + line * len(lines) + small * len(notes) + 0.1
    figure.set_figheight(height + top)
    height += top
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - top / height), w_pad=0.1, h_pad=0.08)
    y = 1 - 0.12 / height
    for text in lines:
        figure.text(0.1 / width, y, text, va="top", ha="left", fontsize=12.5, weight="bold", color=INK)
        y -= line / height
    for text in notes:
        figure.text(0.1 / width, y - 0.01, text, va="top", ha="left", fontsize=9.2, color=MUTED)
        y -= small / height


def _balanced(words: str, width: int) -> list[str]:
    """Return words in as few lines as `width` characters allow, of about the same length."""
    lines = textwrap.wrap(words, width)
    for narrower in range(max(1, len(words) // max(len(lines), 1)), width):
        tried = textwrap.wrap(words, narrower)
        if len(tried) == len(lines):
            return tried
    return lines


def _panel(axes: Any, view: Lines | Dots, language: str) -> None:
    if isinstance(view, Lines):
        _lines(axes, view, language)
    else:
        _dots(axes, view, language)


def _confusion(axes: Any, view: Confusion) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    # Shaded by the share of the row: counts differ by three orders of magnitude and would hide the frauds.
    # Never darker than a tint, so that ink is readable on every cell.
    shades = LinearSegmentedColormap.from_list("model", [tint(view.colour, 0.0), tint(view.colour, 1.0)])
    rates = np.array([[view.rate(row, column) for column in (0, 1)] for row in (0, 1)])
    axes.imshow(rates, cmap=shades, vmin=0, vmax=1, aspect="auto")
    for row in (0, 1):
        for column in (0, 1):
            at = {"ha": "center", "va": "center", "color": INK}
            axes.text(column, row - 0.2, view.names[row][column], fontsize=10.5, **at)
            axes.text(column, row, view.shown_counts[row][column], fontsize=23, weight="bold", **at)
            axes.text(column, row + 0.21, view.shares[row][column], fontsize=10.5, **at)
    axes.axhline(0.5, color="white", linewidth=4)
    axes.axvline(0.5, color="white", linewidth=4)
    axes.set_xticks([0, 1], view.columns, fontsize=11)
    axes.set_yticks([0, 1], view.rows, fontsize=11)
    axes.tick_params(length=0, pad=6)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _lines(axes: Any, view: Lines, language: str) -> None:
    for axis, pair in ((axes.xaxis, view.x), (axes.yaxis, view.y)):
        _scale(axes, axis, pair, language)
    if view.diagonal and view.x.limits is not None:
        axes.plot(view.x.limits, view.x.limits, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
        low, high = view.x.limits
        at = low * (high / low) ** 0.3 if view.x.logarithmic else low + 0.3 * (high - low)
        axes.annotate(
            view.diagonal, (at, at), (8, -4), textcoords="offset points", va="top", color=MUTED, fontsize=9.5
        )
    for series in view.series:
        marker = "o" if series.style == "points" or (series.low is not None) else ""
        if series.low is not None and series.high is not None:
            error = np.vstack([series.y - series.low, series.high - series.y]).clip(min=0)
            axes.errorbar(
                series.x, series.y, yerr=error, fmt="none", ecolor=series.colour, elinewidth=1.3, capsize=3
            )
        style = _STYLES[series.style]
        axes.plot(
            series.x, series.y, color=series.colour, linewidth=2, marker=marker, markersize=6,
            linestyle=style or "none", label=series.name,
        )  # fmt: skip
    if view.vertical is not None:
        axes.axvline(view.vertical[0], color=INK, linewidth=1, linestyle=(0, (2, 2)))
    for mark in view.marks:
        axes.plot(
            [mark.x],
            [mark.y],
            "o",
            markersize=9,
            markerfacecolor="white",
            markeredgecolor=mark.colour,
            markeredgewidth=2.2,
            zorder=5,
        )
        if mark.words:
            _label(axes, mark)
    axes.grid(True)
    axes.tick_params(length=0)
    if len(view.series) > 1:
        axes.legend(frameon=False, loc="best", fontsize=9.5)


def _label(axes: Any, mark: Any) -> None:
    """Write a mark's words above or below it, on the side that is nearer to the middle of the axes."""
    x, _ = axes.transAxes.inverted().transform(axes.transData.transform((mark.x, mark.y)))
    left, up = x > 0.5, mark.above
    axes.annotate(
        mark.words, (mark.x, mark.y), (-12 if left else 12, 16 if up else -16), textcoords="offset points",
        ha="right" if left else "left", va="bottom" if up else "top", fontsize=9.5, color=INK,
        bbox={"boxstyle": "square,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )  # fmt: skip


def _dots(axes: Any, view: Dots, language: str) -> None:
    rows, n = np.arange(len(view.groups), dtype=float), len(view.series)
    _scale(axes, axes.xaxis, view.axis, language)
    if view.reference is not None:
        axes.axvline(
            view.reference, color=MUTED, linewidth=1, linestyle=(0, (2, 2)) if view.reference else "-"
        )
    for number_, points in enumerate(view.series):
        at = rows + (number_ - (n - 1) / 2) * 0.3
        if view.bars:
            axes.barh(at, points.values, color=tint(points.colour, 1.5), height=0.66)
        error = np.vstack([points.values - points.low, points.high - points.values])
        told = np.isfinite(error).all(axis=0)
        ink = INK if view.bars else points.colour
        axes.errorbar(
            points.values[told], at[told], xerr=error[:, told].clip(min=0), fmt="none", ecolor=ink,
            elinewidth=1.2, capsize=2.5,
        )  # fmt: skip
        if not view.bars:
            axes.plot(points.values, at, "o", color=points.colour, markersize=7, label=points.name)
    if view.untold:
        start = view.axis.limits[0] if view.axis.limits else 0.0
        for row in np.flatnonzero(np.all([np.isnan(points.values) for points in view.series], axis=0)):
            axes.annotate(
                view.untold, (start, row), (6, 0), textcoords="offset points", va="center", color=MUTED
            )
    axes.set_yticks(rows, view.groups)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.grid(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    if n > 1:
        axes.legend(
            frameon=False,
            fontsize=9.5,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=n,
            borderaxespad=0.1,
            handletextpad=0.2,
        )


def _scale(axes: Any, axis: Any, wanted: Axis, language: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    name = axis.axis_name
    if wanted.words:
        # To the right: long words reach under the labels of the other axis instead of off the figure.
        getattr(axes, f"set_{name}label")(wanted.words, labelpad=6, loc="right" if name == "x" else "center")
    if wanted.logarithmic:
        getattr(axes, f"set_{name}scale")("log")
        axis.set_major_locator(LogLocator(base=10, subs=(1.0,) if wanted.percent else (1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    if wanted.limits is not None:
        getattr(axes, f"set_{name}lim")(*wanted.limits)

    def shown(value: float, position: int | None = None) -> str:
        text = exact(100 * value if wanted.percent else value, language)
        return f"{text}%" if wanted.percent else text

    axis.set_major_formatter(FuncFormatter(shown))
