"""The rules between a profile's sections; the rules within one are beside its declaration."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fraud.data.profile import HistoryAggregate, Profile


def check_references(profile: "Profile") -> None:
    """Raise ValueError where one section names what another does not declare, or contradicts it."""
    columns = [f.column for f in profile.fields]
    repeated = {c for c in columns if columns.count(c) > 1}
    if repeated:
        raise ValueError(f'fields: column "{min(repeated)}" is declared twice')
    roles = profile.columns
    _check_roles(profile, set(columns))
    numbers = {f.column for f in profile.fields if f.kind == "number"}
    if roles.amount is not None and roles.amount not in numbers:
        raise ValueError(f'columns.amount: "{roles.amount}" is not a number field')
    known = set(profile.text_columns)
    for aggregate in profile.features.history:
        _check_aggregate(profile, aggregate, known)
    positions = [p for d in profile.features.distances for p in (d.origin, d.destination)]
    if profile.features.position is not None:
        positions.append(profile.features.position)
    for name in (column for pair in positions for column in pair):
        if name not in numbers:
            raise ValueError(f'features: position column "{name}" is not a number field')
    dates = {f.column for f in profile.fields if f.kind == "date"}
    for age in profile.features.ages:
        if age.since not in dates:
            raise ValueError(f'features.ages: "{age.since}" is not a date field')
    if roles.time is None and (profile.features.calendar or profile.evaluation.kind == "time"):
        raise ValueError("columns.time: calendar features and a time-ordered evaluation need a time column")
    drop = getattr(profile.evaluation, "drop_compromised", None)
    if drop is not None and drop not in {e.name for e in profile.entities}:
        raise ValueError(f'evaluation.drop_compromised: "{drop}" is not an entity')


def _check_roles(profile: "Profile", fields: set[str]) -> None:
    """Refuse a column with two roles: a label that is also an entity would tell the models the answer."""
    owners: dict[str, str] = {}
    for role in ("label", "label_at", "typology", "id", "time"):
        name = getattr(profile.columns, role)
        if name is None:
            continue
        if name in fields:
            raise ValueError(f'columns.{role}: "{name}" is also a field; a field must be known when scoring')
        if name in owners:
            raise ValueError(f'columns.{role}: "{name}" is also {owners[name]}; name another column')
        owners[name] = f"columns.{role}"
    names: set[str] = set()
    for entity in profile.entities:
        field = next((f for f in profile.fields if f.column == entity.column), None)
        if field is not None and field.kind != "category":
            raise ValueError(f'entities: "{entity.column}" is also a {field.kind} field; make it a category')
        if entity.column in owners:
            raise ValueError(
                f'entities: "{entity.column}" is also {owners[entity.column]}; name another column'
            )
        if entity.name in names:
            raise ValueError(f'entities: two are called "{entity.name}"; rename one')
        owners[entity.column] = f'the entity "{entity.name}"'
        names.add(entity.name)


def _check_aggregate(profile: "Profile", aggregate: "HistoryAggregate", known: set[str]) -> None:
    if profile.columns.time is None:
        raise ValueError("features.history: history needs columns.time")
    for name in aggregate.by:
        if name not in known:
            raise ValueError(f'features.history: "{name}" is neither an entity nor a category field')
    money = {"sum", "mean", "ratio", "zscore", "variation", "max_ratio"} & set(aggregate.functions)
    if money and profile.columns.amount is None:
        raise ValueError(f"features.history: {min(money)} needs columns.amount")
    if {"km", "speed"} & set(aggregate.last) and profile.features.position is None:
        raise ValueError("features.history: km and speed need features.position")
