"""Turning a feature and its value into words, by walking the profile that made the feature.

Feature names are never parsed: a column may hold any character, so names are built as the pipeline builds
them and looked up.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fraud import formats
from fraud.data.profile import WINDOW_PATTERN, HistoryAggregate, InputField, Profile
from fraud.models.figures.labels import place, unit_name
from fraud.records import Reason
from fraud.ui.texts import column_label, text

Value = float | str | None
Writer = Callable[[Value, str], str]
"""Writes a feature's value as words: (value, language) -> text."""

_MISSING = ("not given", "não informado")
_UNSEEN = ("a value unseen in training", "valor não visto no treino")
_WEEKDAYS = (
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
)
_CALENDAR = {
    "hour": ("Time of day", "Hora do dia"),
    "weekday": ("Day of the week", "Dia da semana"),
    "weekend": ("On a weekend", "No fim de semana"),
    "night": ("At night (before 7 h)", "De madrugada (antes das 7 h)"),
}
_FUNCTIONS = {
    "count": ("Transactions {group} {window}", "Transações {group} {window}"),
    "sum": ("Total amount {group} {window}", "Valor total {group} {window}"),
    "mean": ("Mean amount {group} {window}", "Valor médio {group} {window}"),
    "zscore": (
        "Amount's distance from the mean {group} {window}, in standard deviations",
        "Distância do valor à média {group} {window}, em desvios padrão",
    ),
    "max_ratio": (
        "Amount as a multiple of the largest {group} {window}",
        "Valor como múltiplo do maior {group} {window}",
    ),
    "variation": (
        "Variation of amounts (deviation over mean) {group} {window}",
        "Variação dos valores (desvio sobre média) {group} {window}",
    ),
    "fraud_rate": ("Known fraud rate {group} {window}", "Taxa de fraude conhecida {group} {window}"),
    "risk": (
        "Known fraud rate, shrunk, {group} {window}",
        "Taxa de fraude conhecida, atenuada, {group} {window}",
    ),
    "n_frauds": ("Known frauds {group} {window}", "Fraudes conhecidas {group} {window}"),
    "hours": ("Time since the last transaction {group}", "Tempo desde a última transação {group}"),
    "km": ("Distance from the last transaction {group}", "Distância da última transação {group}"),
    "speed": ("Speed since the last transaction {group}", "Velocidade desde a última transação {group}"),
}
_NONE_YET = {
    "mean": ("none", "nenhuma"),
    "zscore": ("too few to compare with", "poucas para comparar"),
    "max_ratio": ("none", "nenhuma"),
    "variation": ("too few", "poucas"),
    "fraud_rate": ("no label yet", "sem rótulo ainda"),
    "hours": ("none is known", "nenhuma conhecida"),
    "km": ("none is known", "nenhuma conhecida"),
    "speed": ("none is known", "nenhuma conhecida"),
}
_RATIO = (
    "Amount is {times} times the {window} mean {group}",
    "Valor é {times} vezes a média {group} em {window}",
)
_NO_RATIO = (
    "No {window} mean {group} to compare the amount with",
    "Sem média {group} em {window} para comparar o valor",
)
_UNITS = {
    "min": (("minute", "minutes"), ("minuto", "minutos")),
    "h": (("hour", "hours"), ("hora", "horas")),
    "d": (("day", "days"), ("dia", "dias")),
}
_FEMININE = ("ção", "são", "dade", "gem", "a")


def reason_text(profile: Profile, reason: Reason, language: str) -> str:
    """Return a reason's fact as words, such as "Transactions of this card in the last hour: 5"."""
    writer = feature_writers(profile).get(reason.feature)
    if writer is None:
        shown = reason.value if isinstance(reason.value, str) else _plain(reason.value, language)
        return f"{column_label(profile, reason.feature, language)}: {shown}"
    return writer(reason.value, language)


def feature_writers(profile: Profile) -> Mapping[str, Writer]:
    """Return how to write every feature of a profile, by the name that the pipeline gives it."""
    writers: dict[str, Writer] = {
        f.column: _field(f, profile.currency) for f in profile.fields if f.feature and f.kind != "date"
    }
    writers |= {name: _calendar(name) for name in profile.features.calendar}
    for distance in profile.features.distances:
        writers[distance.name] = _distance(
            profile, distance.name, distance.origin[0], distance.destination[0]
        )
    for age in profile.features.ages:
        writers[age.name] = _age(profile, age.since)
    for aggregate in profile.features.history:
        writers |= _history(profile, aggregate)
    return writers


def _of(pair: Any, language: str) -> Any:
    return pair[language.startswith("pt")]


def _plain(value: Value, language: str, decimals: int | None = None) -> str:
    if value is None:
        return str(_of(_MISSING, language))
    return value if isinstance(value, str) else formats.number(value, language, decimals)


def _field(field: InputField, currency: str) -> Writer:
    def write(value: Value, language: str) -> str:
        label = field.label.in_language(language)
        if value is None:
            return f"{label}: {_of(_MISSING, language)}"
        if field.kind == "boolean":
            return f"{label}: {text('yes' if value else 'no', language).lower()}"
        if isinstance(value, str):
            named = field.level_labels.get(value)
            return f"{label}: {named.in_language(language) if named else value}"
        if field.kind == "category":
            return f"{label}: {_of(_UNSEEN, language)}"
        if currency and field.unit == currency:
            return f"{label}: {formats.money(value, currency, language)}"
        unit = "" if field.unit == "°" else " "
        return f"{label}: {formats.number(value, language)}{unit}{unit_name(field.unit, language)}".strip()

    return write


def _calendar(name: str) -> Writer:
    def write(value: Value, language: str) -> str:
        label = _of(_CALENDAR[name], language)
        if not isinstance(value, int | float):
            return f"{label}: {_plain(value, language)}"
        if name == "hour":
            minutes = int(value * 60) % 1440
            return f"{label}: {minutes // 60:02d}:{minutes % 60:02d} UTC"
        if name == "weekday":
            return f"{label}: {_of(_WEEKDAYS, language)[int(value) % 7]}"
        return f"{label}: {text('yes' if value else 'no', language).lower()}"

    return write


def _distance(profile: Profile, name: str, origin: str, destination: str) -> Writer:
    def write(value: Value, language: str) -> str:
        ends = [place(column_label(profile, column, language)) for column in (origin, destination)]
        label = formats.pretty(name)
        if all(ends) and ends[0] != ends[1]:
            label = _of(("Distance between {} and {}", "Distância entre {} e {}"), language).format(*ends)
        unit = "" if value is None else "\u00a0km"
        return f"{label}: {_plain(value, language)}{unit}"

    return write


def _age(profile: Profile, since: str) -> Writer:
    def write(value: Value, language: str) -> str:
        label = column_label(profile, since, language)
        label = label[:1].lower() + label[1:]
        years = _of(("Years since {}", "Anos desde {}"), language).format(label)
        return f"{years}: {_plain(value, language, 1)}"

    return write


def _history(profile: Profile, aggregate: HistoryAggregate) -> dict[str, Writer]:
    prefix = "_".join(aggregate.by)
    writers: dict[str, Writer] = {}
    for window in aggregate.windows:
        for function in aggregate.functions:
            writers[f"{prefix}_{function}_{window}"] = (
                _ratio(profile, aggregate.by, window)
                if function == "ratio"
                else _aggregate(profile, aggregate.by, function, window)
            )
    for last in aggregate.last:
        writers[f"{prefix}_{last}_since_last"] = _aggregate(profile, aggregate.by, last, "")
    return writers


def _aggregate(profile: Profile, by: tuple[str, ...], function: str, window: str) -> Writer:
    def write(value: Value, language: str) -> str:
        label = _of(_FUNCTIONS[function], language).format(
            group=_group(profile, by, language), window=_last_window(window, language)
        )
        if not isinstance(value, int | float):
            return f"{label.strip()}: {_of(_NONE_YET.get(function, _MISSING), language)}"
        if function in ("sum", "mean"):
            shown = formats.money(value, profile.currency, language)
        elif function in ("fraud_rate", "risk"):
            shown = formats.percentage(value, language)
        elif function == "hours":
            shown = formats.duration(value, language)
        else:
            unit = {"km": "\u00a0km", "speed": "\u00a0km/h"}.get(function, "")
            shown = formats.number(value, language, 0 if value >= 10 else None) + unit
        return f"{label.strip()}: {shown}"

    return write


def _ratio(profile: Profile, by: tuple[str, ...], window: str) -> Writer:
    def write(value: Value, language: str) -> str:
        template = _NO_RATIO if value is None else _RATIO
        return str(
            _of(template, language).format(
                times=_plain(value, language),
                window=_bare_window(window, language),
                group=_group(profile, by, language),
            )
        )

    return write


def _group(profile: Profile, by: tuple[str, ...], language: str) -> str:
    """Return "of this card with the same channel": the first column named, then those it shares."""
    labels = [column_label(profile, column, language) for column in by]
    labels = [label[:1].lower() + label[1:] for label in labels]
    is_entity = by[0] in {entity.column for entity in profile.entities}
    if language.startswith("pt"):
        head = (
            ("desta " if _feminine(labels[0]) else "deste ") if is_entity else f"com {_same_pt(labels[0])} "
        )
        rest = " e ".join(f"{_same_pt(label)} {label}" for label in labels[1:])
        return f"{head}{labels[0]}" + (f" com {rest}" if rest else "")
    head = "of this " if is_entity else "with the same "
    rest = " and ".join(labels[1:])
    return f"{head}{labels[0]}" + (f" with the same {rest}" if rest else "")


def _feminine(label: str) -> bool:
    return label.split(" ")[0].endswith(_FEMININE)


def _same_pt(label: str) -> str:
    return "a mesma" if _feminine(label) else "o mesmo"


def _window_parts(window: str) -> tuple[int, str]:
    match = WINDOW_PATTERN.match(window)
    assert match is not None  # noqa: S101 (the profile has checked it)
    return int(match[1]), match[2]


def _last_window(window: str, language: str) -> str:
    if not window:
        return ""
    count, unit = _window_parts(window)
    singular, plural = _of(_UNITS[unit], language)
    if language.startswith("pt"):
        feminine = unit == "h"
        if count == 1:
            return f"{'na última' if feminine else 'no último'} {singular}"
        return f"{'nas últimas' if feminine else 'nos últimos'} {count} {plural}"
    return f"in the last {singular}" if count == 1 else f"in the last {count} {plural}"


def _bare_window(window: str, language: str) -> str:
    count, unit = _window_parts(window)
    singular, plural = _of(_UNITS[unit], language)
    if language.startswith("pt"):
        return f"{count} {singular if count == 1 else plural}"
    return f"{count}-{singular}"
