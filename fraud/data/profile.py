"""A profile: everything particular to one data set, as a typed TOML file.

The code never names a column; it asks the profile. Sections: `columns` (roles), `entities`, `fields` (what a
person types), `features` (what models see), `evaluation`, `costs`, `models`, `source`.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fraud.errors import ProfileError

WINDOW_PATTERN = re.compile(r"^(\d+)(min|h|d)$")
_MS = {"min": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY_MS = 86_400_000


def window_ms(window: str) -> int:
    """Return the length in milliseconds of a window such as "15min", "1h" or "30d"."""
    match = WINDOW_PATTERN.match(window)
    if match is None or int(match[1]) == 0:
        raise ValueError(f'"{window}" is not a window; write a whole number and min, h or d, as in "7d"')
    return int(match[1]) * _MS[match[2]]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Text(_Section):
    """One text in the languages of the demo; a missing pt-BR falls back to English."""

    en: str
    pt_br: str = Field(default="", alias="pt-BR")

    def in_language(self, language: str) -> str:
        """Return the text in `language` ("en" or "pt-BR")."""
        return (self.pt_br if language.startswith("pt") else self.en) or self.en


class Columns(_Section):
    """The roles that columns play. Columns without a role or a field are ignored."""

    label: str
    id: str | None = None
    time: str | None = None
    amount: str | None = None
    label_at: str | None = None
    typology: str | None = None
    time_unit: Literal["datetime", "seconds", "milliseconds"] = "datetime"
    time_origin: date = date(1970, 1, 1)
    fraud_values: tuple[str, ...] = ("1",)
    legitimate_values: tuple[str, ...] = ("0",)

    @property
    def time_step_ms(self) -> int | None:
        """Milliseconds that one unit of a numeric time column stands for; None for dates and times."""
        return {"datetime": None, "seconds": 1000, "milliseconds": 1}[self.time_unit]


class Entity(_Section):
    """Somebody or something with a history: a card, a customer, a merchant, a terminal."""

    name: str
    column: str
    label: Text


class InputField(_Section):
    """One column that a person or a client supplies, with its rules and its words."""

    column: str
    kind: Literal["number", "category", "boolean", "date"]
    label: Text
    help: Text | None = None
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    integer: bool = False
    levels: tuple[str, ...] = ()
    level_labels: Mapping[str, Text] = Field(default_factory=dict)
    open_levels: bool = False
    required: bool = True
    default: float | bool | str | None = None
    feature: bool = True

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.kind == "category" and not self.levels and not self.open_levels:
            raise ValueError("a category needs levels, or open_levels = true")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        closed = self.kind == "category" and not self.open_levels
        if closed and self.default is not None and str(self.default) not in self.levels:
            raise ValueError(f'default "{self.default}" is not one of the levels')
        return self


AggregateFunction = Literal["count", "sum", "mean", "ratio", "fraud_rate", "n_frauds"]
LastFunction = Literal["hours", "km", "speed"]


class HistoryAggregate(_Section):
    """Aggregates of the past of everything that shares the values of the `by` columns."""

    by: tuple[str, ...] = Field(min_length=1)
    windows: tuple[str, ...] = ()
    functions: tuple[AggregateFunction, ...] = ()
    last: tuple[LastFunction, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for window in self.windows:
            window_ms(window)
        if bool(self.windows) != bool(self.functions):
            raise ValueError("windows and functions are declared together")
        return self


class Distance(_Section):
    """Kilometres between two positions of the same transaction."""

    name: str
    origin: tuple[str, str]
    destination: tuple[str, str]


class Age(_Section):
    """Years between a date column and the transaction."""

    name: str
    since: str


class Features(_Section):
    """What the models see beyond the fields themselves."""

    calendar: tuple[Literal["hour", "weekday", "weekend", "night"], ...] = ()
    label_delay_days: float = Field(default=7.0, ge=0)
    position: tuple[str, str] | None = None
    distances: tuple[Distance, ...] = ()
    ages: tuple[Age, ...] = ()
    history: tuple[HistoryAggregate, ...] = ()

    @cached_property
    def longest_window_ms(self) -> int:
        """The longest look-back of any aggregate."""
        return max((window_ms(w) for a in self.history for w in a.windows), default=0)


class TimeEvaluation(_Section):
    """Train, wait for labels, test; calibrate on a slice later than the one trained on.

    Dates and days, or fractions of the table's time-ordered rows: `test_start` decides which.
    """

    kind: Literal["time"] = "time"
    test_start: date | None = None
    train_days: float | None = None
    calibration_days: float = Field(default=7.0, gt=0)
    delay_days: float = Field(default=7.0, ge=0)
    test_days: float | None = None
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    calibration_fraction: float = Field(default=0.15, gt=0, lt=1)
    refit: bool = False
    drop_compromised: str | None = None


class StratifiedEvaluation(_Section):
    """Random splits with equal fraud rates, for tables without a time column: optimistic, and said so."""

    kind: Literal["stratified"]
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    calibration_fraction: float = Field(default=0.15, gt=0, lt=1)
    refit: bool = False


class Costs(_Section):
    """Money, in the profile's currency, and the reviewers' capacity."""

    review: float = Field(gt=0)
    friction: float = Field(gt=0)
    fraud_fee: float = Field(default=0.0, ge=0)
    loss_share: float = Field(default=1.0, ge=0, le=1)
    average_fraud: float | None = Field(default=None, gt=0)
    alerts_per_day: float | None = Field(default=None, gt=0)
    precision_at: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.friction <= self.review:
            raise ValueError("friction (declining an honest customer) must cost more than a review")
        return self


class ModelSettings(_Section):
    """Hyperparameters of both models, found by search; see the comments in each profile."""

    random_forest: Mapping[str, Any] = Field(default_factory=dict)
    xgboost: Mapping[str, Any] = Field(default_factory=dict)
    negatives_per_fraud: float | None = Field(default=None, gt=0)
    """Undersample honest rows to this many per fraud before fitting; calibration restores the base rate."""


class Source(_Section):
    """Where the training table comes from when no file is named."""

    simulator: Literal["cards"] | None = None
    n_transactions: int = 400_000
    days: int = 240
    seed: int = 7


class Profile(_Section):
    """One data set: roles, fields, features, evaluation plan, costs, model settings."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    title: Text
    description: Text
    currency: str = ""
    timezone_note: str = ""
    columns: Columns
    entities: tuple[Entity, ...] = ()
    fields: tuple[InputField, ...] = Field(min_length=1)
    features: Features = Features()
    evaluation: Annotated[TimeEvaluation | StratifiedEvaluation, Field(discriminator="kind")]
    costs: Costs
    models: ModelSettings = ModelSettings()
    source: Source = Source()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        _check_references(self)
        return self

    @cached_property
    def by_column(self) -> Mapping[str, InputField]:
        """Fields by their column."""
        return {field.column: field for field in self.fields}

    @cached_property
    def number_columns(self) -> tuple[str, ...]:
        """Columns held as float64: number and boolean fields, and dates as days since 1970."""
        return tuple(f.column for f in self.fields if f.kind != "category")

    @cached_property
    def text_columns(self) -> tuple[str, ...]:
        """Columns held as codes: category fields, then entities, each once."""
        names = [f.column for f in self.fields if f.kind == "category"]
        names += [e.column for e in self.entities]
        return tuple(dict.fromkeys(names))

    @property
    def main_entity(self) -> Entity | None:
        """The entity whose past a client may send along: the first one declared."""
        return self.entities[0] if self.entities else None

    @property
    def time_origin_ms(self) -> int:
        """Epoch milliseconds of `columns.time_origin`."""
        origin = self.columns.time_origin
        return int(datetime(origin.year, origin.month, origin.day, tzinfo=UTC).timestamp() * 1000)


def _check_references(profile: Profile) -> None:
    columns = [f.column for f in profile.fields]
    repeated = {c for c in columns if columns.count(c) > 1}
    if repeated:
        raise ValueError(f'fields: column "{min(repeated)}" is declared twice')
    roles = profile.columns
    for role in ("label", "label_at", "typology", "id", "time"):
        name = getattr(roles, role)
        if name is not None and name in columns:
            raise ValueError(f'columns.{role}: "{name}" is also a field; a field must be known when scoring')
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


def _check_aggregate(profile: Profile, aggregate: HistoryAggregate, known: set[str]) -> None:
    if profile.columns.time is None:
        raise ValueError("features.history: history needs columns.time")
    for name in aggregate.by:
        if name not in known:
            raise ValueError(f'features.history: "{name}" is neither an entity nor a category field')
    money = {"sum", "mean", "ratio"} & set(aggregate.functions)
    if money and profile.columns.amount is None:
        raise ValueError(f"features.history: {min(money)} needs columns.amount")
    if {"km", "speed"} & set(aggregate.last) and profile.features.position is None:
        raise ValueError("features.history: km and speed need features.position")


def parse_profile(document: Mapping[str, Any], origin: str) -> Profile:
    """Return the profile in a parsed TOML document.

    Raises
    ------
    ProfileError
        Naming the first key that breaks a rule, and the rule. `origin` says where it was read.
    """
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part not in ("time", "stratified")) or "profile"
        rule = str(first["msg"]).removeprefix("Value error, ")
        raise ProfileError(f"{origin}: {key}: {rule}.", code="profile", field=key) from error


def load_profile(name_or_path: str | Path) -> Profile:
    """Return a shipped profile by name, or one read from a .toml path."""
    path = Path(name_or_path)
    shipped = files("fraud.data") / "profiles"
    if path.suffix == ".toml":
        if not path.is_file():
            raise ProfileError(f"{path}: there is no such profile file.", code="profile_missing")
        text = path.read_text(encoding="utf-8")
    else:
        entry = shipped / f"{name_or_path}.toml"
        if not entry.is_file():
            names = sorted(Path(p.name).stem for p in shipped.iterdir() if p.name.endswith(".toml"))
            raise ProfileError(
                f'There is no profile "{name_or_path}"; shipped are {", ".join(names)}, '
                "or name a .toml file.",
                code="profile_missing",
            )
        text = entry.read_text(encoding="utf-8")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{name_or_path}: not valid TOML: {error}.", code="profile_toml") from error
    return parse_profile(document, str(name_or_path))
