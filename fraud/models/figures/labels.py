"""Short names of features and groups for axes, in both languages: "Card: amount / mean, 7 d"."""

import re
from collections.abc import Mapping

from fraud.data.profile import WINDOW_PATTERN, Distance, HistoryAggregate, Profile
from fraud.features.history import history_names
from fraud.formats import number, pretty
from fraud.models.analysis.importance import KNOWN_FRAUDS
from fraud.models.figures.words import WORDS, say

_CALENDAR = {
    "hour": ("Time of day", "Hora do dia"),
    "weekday": ("Day of the week", "Dia da semana"),
    "weekend": ("Weekend", "Fim de semana"),
    "night": ("Night", "Madrugada"),
}
_FUNCTIONS = {
    "count": ("transactions", "transações"),
    "sum": ("total amount", "valor total"),
    "mean": ("mean amount", "valor médio"),
    "ratio": ("amount ÷ mean", "valor ÷ média"),
    "zscore": ("amount's distance from the mean", "distância do valor à média"),
    "max_ratio": ("amount ÷ largest", "valor ÷ maior"),
    "variation": ("variation of amounts", "variação dos valores"),
    "fraud_rate": ("known fraud rate", "taxa de fraude conhecida"),
    "risk": ("known fraud rate, shrunk", "taxa de fraude conhecida, atenuada"),
    "n_frauds": ("known frauds", "fraudes conhecidas"),
    "hours": ("time since the last", "tempo desde a última"),
    "km": ("distance from the last", "distância da última"),
    "speed": ("speed since the last", "velocidade desde a última"),
}
_POSITION_WORDS = re.compile(r"\b(latitude|longitude|lat|lon|long)\b( d[aeo]s? | of (the )?)?", re.IGNORECASE)
_HISTORY = ("history", "histórico")
_KNOWN = ("known frauds", "fraudes conhecidas")


def column_label(profile: Profile, column: str, language: str) -> str:
    """Return the profile's label of a field or an entity; any other column as words."""
    if column in profile.by_column:
        return profile.by_column[column].label.in_language(language)
    for entity in profile.entities:
        if entity.column == column:
            return entity.label.in_language(language)
    return pretty(column)


def unit_name(unit: str, language: str) -> str:
    """Return a field's unit in the language; units that are no words stay as they are."""
    if not language.startswith("pt"):
        return unit
    return {"days": "dias", "years": "anos", "hours": "horas", "minutes": "minutos"}.get(unit, unit)


def segment_label(profile: Profile, by: str, language: str) -> str:
    """Return what transactions are grouped by, with its unit: "Amount (EUR)"."""
    if by in WORDS:
        return say(by, language)
    field = profile.by_column.get(by)
    unit = unit_name(field.unit, language) if field is not None else ""
    label = column_label(profile, by, language)
    return f"{label} ({unit})" if unit else label


def feature_labels(profile: Profile, language: str) -> Mapping[str, str]:
    """Return a short name of every feature that the profile yields."""
    portuguese = language.startswith("pt")
    labels = {f.column: column_label(profile, f.column, language) for f in profile.fields}
    labels |= {name: _CALENDAR[name][portuguese] for name in profile.features.calendar}
    labels |= {d.name: _distance(profile, d, language) for d in profile.features.distances}
    labels |= {a.name: column_label(profile, a.since, language) for a in profile.features.ages}
    for aggregate in profile.features.history:
        labels |= _history(profile, aggregate, language)
    return labels


def group_label(profile: Profile, group: str, language: str) -> str:
    """Return the name of a group of `fraud.models.analysis.importance.feature_groups`."""
    alone = feature_labels(profile, language)
    if group in alone:
        return alone[group]
    by, _, kind = group.partition(":")
    what = (_KNOWN if kind == KNOWN_FRAUDS else _HISTORY)[language.startswith("pt")]
    return f"{_entity(profile, tuple(by.split('+')), language)}: {what}"


def level_label(profile: Profile, by: str, level: str, language: str) -> str:
    """Return the name of a group of `fraud.models.analysis.segments`: a kind, a level, a band or an hour."""
    if by == "typology":
        if level.isdigit():
            return f"{say('fraud_kind', language)} {level}"
        return say(f"kind_{level}", language) if f"kind_{level}" in WORDS else pretty(level)
    field = profile.by_column.get(by)
    if field is None:
        return level
    if field.kind == "category":
        named = field.level_labels.get(level)
        return named.in_language(language) if named else level
    return _band(level, language)


def _band(name: str, language: str) -> str:
    def shown(edge: str) -> str:
        return number(float(edge), language)

    if name.startswith("< "):
        return say("band_below", language, high=shown(name[2:]))
    if name.startswith(">= "):
        return say("band_above", language, low=shown(name[3:]))
    low, found, high = name.partition(" to ")
    return say("band_between", language, low=shown(low), high=shown(high)) if found else name


def place(label: str) -> str:
    """Return what is left of a position's label: "Home latitude" -> "home"."""
    return _POSITION_WORDS.sub("", label).strip().lower()


def _distance(profile: Profile, distance: Distance, language: str) -> str:
    columns = (distance.origin[0], distance.destination[0])
    ends = [place(column_label(profile, column, language)) for column in columns]
    if not all(ends) or ends[0] == ends[1]:
        return pretty(distance.name)
    return say("distance", language, origin=ends[0], destination=ends[1])


def _entity(profile: Profile, by: tuple[str, ...], language: str) -> str:
    labels = [column_label(profile, column, language) for column in by]
    return " + ".join([labels[0], *(label[:1].lower() + label[1:] for label in labels[1:])])


def _history(profile: Profile, aggregate: HistoryAggregate, language: str) -> dict[str, str]:
    """Return the labels in the order in which `history_names` returns the names."""
    entity, portuguese = _entity(profile, aggregate.by, language), language.startswith("pt")
    labels = [
        f"{entity}: {_FUNCTIONS[function][portuguese]}, {_window(window)}"
        for window in aggregate.windows
        for function in aggregate.functions
    ]
    labels += [f"{entity}: {_FUNCTIONS[last][portuguese]}" for last in aggregate.last]
    return dict(zip(history_names(aggregate), labels, strict=True))


def _window(window: str) -> str:
    match = WINDOW_PATTERN.fullmatch(window)
    return f"{match[1]} {match[2]}" if match else window
