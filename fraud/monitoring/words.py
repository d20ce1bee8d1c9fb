"""What monitoring found, in words: names of checks and columns, reasons with their figures, headlines."""

from collections.abc import Iterable, Mapping
from typing import Any

from fraud.data.profile import Profile
from fraud.formats import number, percentage, pretty
from fraud.models.report import MODEL_TITLES
from fraud.monitoring.alerts import Alert, AlertState
from fraud.monitoring.segments import Segment
from fraud.monitoring.texts import WORDS

_WHOLE_NUMBERS = frozenset({"n_answers", "n_frauds", "n_asked", "n_predictions", "n", "of", "n_rows", "days"})
_AS_SHARES = frozenset({"low_response", "without_lot", "unreadable"})


def say(code: str, language: str, **params: object) -> str:
    """Return a text with its parameters filled in."""
    text = WORDS[code][1 if language.startswith("pt") else 0]
    return text.format(**params) if params else text


def reason(code: str, params: Mapping[str, object], language: str) -> str:
    """Return the sentence of a reason, numbers as people write them."""
    shown = {
        name: _shown(name, value, language, as_share=code in _AS_SHARES) for name, value in params.items()
    }
    return WORDS[code][1 if language.startswith("pt") else 0].format_map(_Lenient(shown))


class _Lenient(dict[str, str]):
    """Shows a dash for a figure that is not there."""

    def __missing__(self, key: str) -> str:
        return "—"


def _shown(name: str, value: object, language: str, *, as_share: bool) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if as_share and name in ("found", "needed"):
        return f"{number(100 * value, language, 0)}%"
    if isinstance(value, int) or name in _WHOLE_NUMBERS or float(value).is_integer():
        return number(value, language, 0)
    return number(value, language, 3)


def figure_name(name: str, language: str, basis: str = "audit") -> str:
    """Return a metric's name; those at k carry it, and one on another basis than its definition says so."""
    if basis == "highest_transaction" and name.startswith("card_precision_at_"):
        return say("card_precision_at_highest", language, k=name.removeprefix("card_precision_at_"))
    for prefix in ("card_precision_at", "precision_at"):
        if name.startswith(f"{prefix}_"):
            return say(prefix, language, k=name.removeprefix(f"{prefix}_"))
    return say(name, language) if name in WORDS else pretty(name)


def column_name(column: str, profile: Profile, language: str) -> str:
    """Return what a column of a drift report is called."""
    source, _, model = column.partition(":")
    if model in MODEL_TITLES and source in ("score", "alert"):
        return say(f"check_{source}", language, model=MODEL_TITLES[model])
    if column in ("disagreement", "hour") and column not in profile.by_column:
        return say(f"check_{column}", language)
    field = profile.by_column.get(column)
    return pretty(column) if field is None else field.label.in_language(language)


def segment_name(segment: Segment, profile: Profile, language: str) -> str:
    """Return what a segment is called: the column and its level, in the profile's words."""
    field = profile.by_column.get(segment.column)
    column = pretty(segment.column) if field is None else field.label.in_language(language)
    return f"{column}: {_level(segment, profile, language)}"


def _level(segment: Segment, profile: Profile, language: str) -> str:
    if segment.kind in ("other", "missing"):
        return say(segment.kind, language)
    if segment.kind == "band":
        low, _, high = segment.level.partition("..")
        try:
            shown = {k: number(float(v), language) for k, v in (("low", low), ("high", high)) if v}
        except ValueError:
            return segment.level  # no band: of an alert that somebody else wrote
        code = {2: "between", 1: "below" if "high" in shown else "from"}.get(len(shown))
        return say(code, language, **shown) if code else segment.level
    field = profile.by_column.get(segment.column)
    label = None if field is None else field.level_labels.get(segment.level)
    return segment.level if label is None else label.in_language(language)


def _segment(where: str, profile: Profile) -> Segment:
    """Return the segment that a key such as "channel=online" names."""
    column, equals, level = where.partition("=")
    if not equals:  # what stands for several levels, or for none
        column, _, kind = where.rpartition(":")
        return Segment(column, kind, kind if kind in ("other", "missing") else "level")
    if column == profile.columns.amount and ".." in level:
        return Segment(column, level, "band")
    return Segment(column, level)


def check_name(key: str, profile: Profile, language: str) -> str:
    """Return what an alert is about, from its key."""
    kind, _, rest = key.partition(":")
    if kind == "drift":
        name = column_name(rest, profile, language)
        return say("check_drift", language, column=name) if rest in profile.by_column else name
    if kind == "segment":
        where, _, model = rest.rpartition(":")
        segment = _segment(where, profile)
        title = MODEL_TITLES.get(model, model)
        return say("check_segment", language, model=title, segment=segment_name(segment, profile, language))
    if kind in ("f1", "concept_drift"):
        return say(f"check_{kind}", language, model=MODEL_TITLES.get(rest, rest))
    return say("check_domain", language) if kind == "domain" else key


def headline(state: str, alerts: Iterable[Alert], language: str) -> str:
    """Return one sentence on the state of a window."""
    states = [alert.state for alert in alerts]
    if state == "alert":
        n = states.count(AlertState.FIRING)
        return say("alert_says_one" if n == 1 else "alert_says", language, n=n)
    if state == "healthy":
        return say("healthy_says", language)
    n = states.count(AlertState.PENDING)
    if n:
        return say("pending_says_one" if n == 1 else "pending_says", language, n=n)
    return say("insufficient_says", language)


def segments_line(n: int, language: str) -> str:
    """Return how many parts of the traffic have an alert."""
    return say("segments_firing_one" if n == 1 else "segments_firing", language, n=n)


def opinions_lines(opinions: Mapping[str, Any] | None, language: str) -> list[str]:
    """Return what the answers of a window rest on, by `Opinions.to_json`; earlier reports do not say."""
    if opinions is None:
        return []
    error, found = opinions["error"], opinions["error"]["found"]
    counts = {key: opinions[key] for key in ("n_lone", "n_confirmed", "n_overturned")}
    shown = {key: number(value, language, 0) for key, value in counts.items()}
    total = number(sum(counts.values()), language, 0)
    lines = [say("answers_rest_on", language, n=total, error=percentage(error["used"], language), **shown)]
    if found is not None and opinions["n_confirmed"] + opinions["n_overturned"]:
        shares = {
            name: percentage(found[key], language)
            for name, key in (("found", "value"), ("low", "low"), ("high", "high"))
        }
        lines[0] += " " + say("answers_error_found", language, **shares)
    waiting = opinions["n_awaiting"]
    if waiting:
        key = "answers_awaiting_one" if waiting == 1 else "answers_awaiting"
        lines.append(say(key, language, n=number(waiting, language, 0)))
    return lines


def alert_line(alert: Alert, profile: Profile, language: str) -> str:
    """Return one line on an alert: what it is about, and why."""
    state = say("firing" if alert.state is AlertState.FIRING else "pending", language)
    about = check_name(alert.key, profile, language)
    return f"{about} ({state}): {reason(alert.reason, alert.params, language)}"
