"""Two versions side by side as HTML, part by part; what is the same in both is only counted."""

import html
from collections.abc import Sequence

from fraud.formats import exact, number, signed
from fraud.models.difference import Difference, Part, ReleaseDifference
from fraud.models.evaluate import Estimate
from fraud.models.report import MODEL_TITLES
from fraud.ui.tables import swatch, table_html
from fraud.ui.texts import TEXTS, text
from fraud.ui.versions_html import change_html, estimate_html

_DASH = "\N{EM DASH}"
_DECIMALS = {"brier": 4, "calibration_error": 4, "cost_per_1000": 1, "alerts_per_day": 1}
_REVISIONS = ("data_digest", "dataset_revision")
_BYTE_UNITS = ((1e6, "MB"), (1e3, "kB"))


def difference_html(found: ReleaseDifference, language: str) -> str:
    """Return what differs: figures first, then what they come from."""
    notes = [text("versions_same_window" if found.same_window else "versions_other_window", language)]
    if any(line.paired is not None for line in found.lines):
        notes.append(text("versions_paired", language))
    figures = "".join(_of_model(model, found, language) for model in MODEL_TITLES)
    said = "".join(f'<p class="quiet">{note}</p>' for note in notes)
    rest = "".join(
        part
        for part in (
            _section("parameters", found, language),
            _section("features", found, language),
            _section("recipe", found, language),
            _section("data", found, language),
            _section("sizes", found, language),
            _section("libraries", found, language),
        )
        if part
    )
    return f'{said}<div class="pair">{figures}</div><div class="parts">{rest}</div>'


def nothing_html(key: str, language: str) -> str:
    """Return why there is no comparison."""
    return f'<p class="quiet">{text(key, language)}</p>'


def _of_model(model: str, found: ReleaseDifference, language: str) -> str:
    lines = [line for line in (*found.of("metrics"), *found.of("thresholds")) if line.model == model]
    if not lines:
        return ""
    return _table(swatch(model) + MODEL_TITLES[model], lines, found, language)


def _section(part: Part, found: ReleaseDifference, language: str) -> str:
    lines, n_same = found.of(part), found.n_same.get(part, 0)
    title = text(f"versions_part_{part}", language)
    if not lines:
        if not n_same:
            return ""
        words = text("versions_all_same", language, part=title, n=n_same)
        return f'<p class="quiet same">{words}</p>'
    return _table(title, lines, found, language)


def _table(caption: str, lines: Sequence[Difference], found: ReleaseDifference, language: str) -> str:
    header = [
        f'<span class="unseen">{text("versions_column_what", language)}</span>',
        html.escape(found.old),
        html.escape(found.new),
        text("versions_column_change", language),
    ]
    rows = [
        [_name(line, language), _shown(line, line.old, language), _shown(line, line.new, language),
         _change(line, language)]
        for line in lines
    ]  # fmt: skip
    return table_html(caption, header, rows)


def _name(line: Difference, language: str) -> str:
    keys = {
        "metrics": f"versions_metric_{line.key}",
        "thresholds": f"versions_cut_{line.key}",
        "recipe": f"versions_recipe_{line.key}",
        "data": f"versions_data_{line.key}",
        "sizes": f"versions_size_{line.key}",
    }
    key = keys.get(line.part, "")
    words = text(key, language) if key in TEXTS else f"<code>{html.escape(line.key)}</code>"
    model = swatch(line.model) if line.part == "parameters" else ""
    unseen = f'<span class="unseen"> {MODEL_TITLES.get(line.model, "")}</span>' if model else ""
    return f"{model}{words}{unseen}"


def _shown(line: Difference, value: object, language: str) -> str:
    if value is None:
        return _DASH
    if isinstance(value, Estimate):
        return estimate_html(value, language, _DECIMALS.get(line.key, 3))
    if isinstance(value, float):
        return _number(line, value, language)
    if line.part == "features":
        return "\N{CHECK MARK}"
    words = str(value)
    if line.key in _REVISIONS or line.part == "recipe":
        return f"<code>{html.escape(words[:12])}</code>"
    return html.escape(words)


def _number(line: Difference, value: float, language: str) -> str:
    if line.part == "sizes":
        for size, unit in _BYTE_UNITS:
            if value >= size:
                return f"{number(value / size, language, 1)}\u00a0{unit}"
        return f"{number(value, language, 0)}\u00a0B"
    if line.part == "thresholds":
        return number(value, language, 4)
    return number(value, language, 0) if line.part == "data" else exact(value, language)


def _change(line: Difference, language: str) -> str:
    if not line.changed:
        return '<span class="quiet">=</span>'
    if line.part == "features":
        return text("versions_added" if line.old is None else "versions_removed", language)
    change = line.change
    if change is None:
        return text("versions_recipe_changed", language)
    if line.part == "metrics":
        return change_html(change, line.paired, language, _DECIMALS.get(line.key, 3))
    if line.part == "sizes":
        share = 0.0 if not isinstance(line.old, float) or not line.old else change / line.old
        return f"{signed(100 * share, language, 1)}%"
    decimals = {"thresholds": 4, "data": 0}.get(line.part)
    if decimals is None:
        words = exact(abs(change), language)
        return f"+{words}" if change > 0 else f"\u2212{words}"
    return signed(change, language, decimals)
