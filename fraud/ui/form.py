"""The form of one transaction, drawn from the profile: values go in and come out by column."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from fraud.data.profile import Entity, InputField, Profile
from fraud.models.figures.labels import unit_name
from fraud.service import FraudService
from fraud.ui.language import Localised, Words
from fraud.ui.texts import text, time_label

_MANY_NUMBERS = 12
_FEW_LEVELS = 4
_N_SUGGESTIONS = 20
_N_PASTS = 15


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class FormField:
    """One column's widget; `to_widget` turns a transaction's value into what the widget shows."""

    column: str
    component: Any
    to_widget: Callable[[Any], Any] = _as_is


class TransactionForm:
    """Draws itself inside the current Blocks context.

    No widget limits what is typed: the service's rules answer with their sentence, and what was typed stays.
    """

    def __init__(self, service: FraudService, localised: Localised) -> None:
        self.profile = service.profile
        self._localised = localised
        self._suggestions = suggestions(service)
        self._fields: list[FormField] = []
        self.entity: FormField | None = None
        self.more: gr.Accordion | None = None
        self._draw(service.entities())

    @property
    def components(self) -> list[Any]:
        """The widgets, in the order in which `read` expects their values."""
        return [field.component for field in self._fields]

    @property
    def columns(self) -> list[str]:
        """The column of each widget, in the same order."""
        return [field.column for field in self._fields]

    def recalled(self, typed: Mapping[str, Any]) -> list[Any]:
        """Return the widgets' values of what was typed before: column -> value; what cannot be is empty."""
        return [_fitting(field.component, typed.get(field.column)) for field in self._fields]

    def read(self, values: Sequence[Any], language: str = "en") -> dict[str, Any]:
        """Return the transaction as typed: column -> value; moments also in the language's order."""
        typed = {field.column: value for field, value in zip(self._fields, values, strict=True)}
        if language == "pt-BR":
            for column in typed.keys() & self._moments:
                typed[column] = iso_moment(typed[column])
        return typed

    @property
    def _moments(self) -> set[str]:
        dates = {field.column for field in self.profile.fields if field.kind == "date"}
        time = self.profile.columns.time if self.profile.columns.time_unit == "datetime" else None
        return dates | ({time} if time is not None else set())

    def fill(self, transaction: Mapping[str, Any]) -> dict[Any, Any]:
        """Return what shows a transaction: component -> value."""
        return {f.component: f.to_widget(transaction.get(f.column)) for f in self._fields}

    def known(self, transaction: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a transaction that the form holds, as it would be typed."""
        return {f.column: f.to_widget(transaction.get(f.column)) for f in self._fields}

    def blank(self) -> dict[str, Any]:
        """Return the profile's defaults, at the present."""
        values: dict[str, Any] = {field.column: field.default for field in self.profile.fields}
        if self.profile.columns.time is not None:
            values[self.profile.columns.time] = time_value(self.profile, datetime.now(UTC))
        return values

    def element_id(self, column: str) -> str | None:
        """Return the id of a column's widget on the page."""
        return next((f.component.elem_id for f in self._fields if f.column == column), None)

    def is_folded(self, column: str) -> bool:
        """Whether a column's widget lies in the fold."""
        field = self.profile.by_column.get(column)
        return field is not None and not field.feature and self.more is not None

    def _draw(self, entities: Sequence[str]) -> None:
        profile, main = self.profile, self.profile.main_entity
        fields = [f for f in profile.fields if main is None or f.column != main.column]
        shown, folded = [f for f in fields if f.feature], [f for f in fields if not f.feature]
        n_numbers = sum(f.kind == "number" for f in shown)
        with gr.Column(elem_classes=["fields", "dense"] if n_numbers > _MANY_NUMBERS else ["fields"]):
            if main is not None:
                self._draw_main_entity(main, entities)
            if profile.columns.time is not None:
                self._draw_time(profile.columns.time)
            for field in shown:
                self._draw_field(field)
            for entity in profile.entities[1:]:
                if entity.column not in profile.by_column:
                    self._draw_entity(entity)
        if folded:
            with (
                self._localised.make(
                    gr.Accordion, lambda language: {"label": text("more_fields", language)}, open=False
                ) as self.more,
                gr.Column(elem_classes=["fields"]),
            ):
                for field in folded:
                    self._draw_field(field)

    def _add(
        self,
        column: str,
        kind: Callable[..., Any],
        words: Words,
        to_widget: Callable[[Any], Any] = _as_is,
        **fixed: Any,
    ) -> FormField:
        fixed.setdefault("elem_classes", ["field"])
        component = self._localised.make(
            kind, words, elem_id=f"field-{len(self._fields)}", interactive=True, **fixed
        )
        self._fields.append(FormField(column, component, to_widget))
        return self._fields[-1]

    def _draw_main_entity(self, entity: Entity, entities: Sequence[str]) -> None:
        def words(language: str) -> Mapping[str, Any]:
            return {"label": entity.label.in_language(language), "info": text("entity_help", language)}

        self.entity = self._add(
            entity.column,
            gr.Dropdown,
            words,
            choices=list(entities),
            value=None,
            allow_custom_value=True,
            elem_classes=["field", "wide"],
        )

    def _draw_entity(self, entity: Entity) -> None:
        def words(language: str) -> Mapping[str, Any]:
            label = entity.label.in_language(language)
            return {"label": label, "placeholder": text("other_entity_help", language)}

        self._add(entity.column, gr.Textbox, words, max_lines=1)

    def _draw_time(self, column: str) -> None:
        if self.profile.columns.time_unit != "datetime":
            self._add(column, gr.Number, lambda language: {"label": time_label(self.profile, language)})
            return

        def words(language: str) -> Mapping[str, Any]:
            return {"label": time_label(self.profile, language), "placeholder": text("time_help", language)}

        self._add(column, gr.Textbox, words, shown_time, max_lines=1, elem_classes=["field", "moment"])

    def _draw_field(self, field: InputField) -> None:
        def words(language: str) -> dict[str, Any]:
            unit = unit_name(field.unit, language)
            label = field.label.in_language(language) + (f" ({unit})" if unit else "")
            return {"label": label, "info": field.help.in_language(language) if field.help else None}

        if field.kind == "number":
            self._add(field.column, gr.Number, words, value=field.default)
        elif field.kind == "boolean" and field.required:
            self._add(field.column, gr.Checkbox, words, bool, value=bool(field.default))
        elif field.kind == "date":

            def dated(language: str) -> Mapping[str, Any]:
                return words(language) | {"placeholder": text("date_help", language)}

            self._add(field.column, gr.Textbox, dated, value=field.default, max_lines=1)
        else:
            self._draw_choice(field, words)

    def _draw_choice(self, field: InputField, base: Callable[[str], dict[str, Any]]) -> None:
        values: list[Any] = [True, False] if field.kind == "boolean" else list(field.levels)
        if field.open_levels:
            values = list(dict.fromkeys([*values, *self._suggestions.get(field.column, ())]))

        def words(language: str) -> Mapping[str, Any]:
            choices = [(level_name(field, value, language), value) for value in values]
            if not field.required:
                choices.append((text("unknown", language), None))
            return base(language) | {"choices": choices}

        if not field.open_levels and field.required and len(values) <= _FEW_LEVELS:
            self._add(
                field.column,
                gr.Radio,
                words,
                lambda value: value if value in values else None,
                value=field.default,
                elem_classes=["field", "wide"],
            )
        else:
            self._add(field.column, gr.Dropdown, words, value=field.default, allow_custom_value=True)


def _fitting(component: Any, value: Any) -> Any:
    if isinstance(component, gr.Number):
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(component, gr.Checkbox):
        return value is True
    if isinstance(component, gr.Textbox):
        return value if isinstance(value, str) else ""
    if isinstance(component, gr.Radio):
        return value if value in [choice for _, choice in component.choices] else None
    return value


def level_name(field: InputField, value: Any, language: str) -> str:
    """Return a level's name for people."""
    if isinstance(value, bool):
        return text("yes" if value else "no", language)
    named = field.level_labels.get(str(value))
    return named.in_language(language) if named else str(value)


def iso_moment(value: Any) -> Any:
    """Return a moment or date that was written in Brazilian order in ISO order; anything else as it is."""
    for written, iso in (("%d/%m/%Y %H:%M:%S", " "), ("%d/%m/%Y %H:%M", " "), ("%d/%m/%Y", None)):
        try:
            moment = datetime.strptime(str(value).strip(), written)
        except ValueError:
            continue
        return moment.isoformat(iso) if iso is not None else moment.date().isoformat()
    return value


def shown_time(value: Any) -> Any:
    """Return a moment as people type it: without zone (the label says UTC) and without idle seconds."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return value
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return moment.strftime("%Y-%m-%d %H:%M:%S" if moment.second else "%Y-%m-%d %H:%M")


def moment_of(profile: Profile, value: Any) -> datetime:
    """Return the time of a valid transaction."""
    step = profile.columns.time_step_ms
    if step is not None:
        return datetime.fromtimestamp((profile.time_origin_ms + float(value) * step) / 1000, UTC)
    moment = datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def time_value(profile: Profile, moment: datetime) -> Any:
    """Return a moment as the profile's time column holds it."""
    step = profile.columns.time_step_ms
    if step is not None:
        return (moment.timestamp() * 1000 - profile.time_origin_ms) // step
    return moment.isoformat()


def suggestions(service: FraudService) -> Mapping[str, Sequence[str]]:
    """Return the commonest known values of each open category: column -> values."""
    columns = [f.column for f in service.profile.fields if f.kind == "category" and f.open_levels]
    if not columns:
        return {}
    records = [example["transaction"] for example in service.examples()]
    for entity in service.entities()[:_N_PASTS]:
        records.extend(service.past_of(entity))
    found = {}
    for column in columns:
        values = Counter(str(r[column]) for r in records if r.get(column) is not None)
        found[column] = [value for value, _ in values.most_common(_N_SUGGESTIONS)]
    return found
