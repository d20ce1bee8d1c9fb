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
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fraud.data.columns import MAX_TEXT, fits
from fraud.data.profile_rules import check_references
from fraud.errors import ProfileError

if TYPE_CHECKING:
    from fraud.data.quick import QuickRules

WINDOW_PATTERN = re.compile(r"([0-9]{1,9})(min|h|d)")
_MS = {"min": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY_MS = 86_400_000
MAX_DAYS = 36_500
"""The longest window, delay or period: a century, far below what milliseconds in int64 hold."""
MAX_PROFILE_BYTES = 1_000_000
"""The largest profile file that is read; the largest shipped one has 5,000 bytes."""


def window_ms(window: str) -> int:
    """Return the length in milliseconds of a window such as "15min", "1h" or "30d"."""
    match = WINDOW_PATTERN.fullmatch(window)
    length = int(match[1]) * _MS[match[2]] if match else 0
    if not 0 < length <= MAX_DAYS * DAY_MS:
        raise ValueError(
            f'{window[:20]!r} is not a window; write a whole number and min, h or d, as in "7d", '
            f"up to {MAX_DAYS}d"
        )
    return length


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    def __getstate__(self) -> dict[Any, Any]:
        """Return the fields alone: what is computed from them is computed again where it is unpickled."""
        state = super().__getstate__()
        return state | {"__dict__": self._declared(state["__dict__"])}

    def __copy__(self) -> Self:
        """Return a copy with the fields alone, so that `model_copy` never keeps what it no longer fits."""
        copied = super().__copy__()
        object.__setattr__(copied, "__dict__", self._declared(copied.__dict__))
        return copied

    @classmethod
    def _declared(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name in cls.model_fields}


ColumnName = Annotated[str, Field(min_length=1)]
Days = Annotated[float, Field(ge=0, le=MAX_DAYS)]


class Text(_Section):
    """One text in the languages of the demo; a missing pt-BR falls back to English."""

    en: str
    pt_br: str = Field(default="", alias="pt-BR")

    def in_language(self, language: str) -> str:
        """Return the text in `language` ("en" or "pt-BR")."""
        return (self.pt_br if language.startswith("pt") else self.en) or self.en


class Columns(_Section):
    """The roles that columns play. Columns without a role or a field are ignored."""

    label: ColumnName
    id: ColumnName | None = None
    time: ColumnName | None = None
    amount: ColumnName | None = None
    label_at: ColumnName | None = None
    typology: ColumnName | None = None
    time_unit: Literal["datetime", "seconds", "milliseconds"] = "datetime"
    time_origin: date = date(1970, 1, 1)
    fraud_values: tuple[str, ...] = Field(default=("1",), min_length=1)
    legitimate_values: tuple[str, ...] = Field(default=("0",), min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        both = set(self.fraud_values) & set(self.legitimate_values)
        if both:
            raise ValueError(f'"{min(both)}" is both a fraud value and a legitimate value')
        return self

    @property
    def time_step_ms(self) -> int | None:
        """Milliseconds that one unit of a numeric time column stands for; None for dates and times."""
        return {"datetime": None, "seconds": 1000, "milliseconds": 1}[self.time_unit]


class Entity(_Section):
    """Somebody or something with a history: a card, a customer, a merchant, a terminal."""

    name: Annotated[str, Field(min_length=1)]
    column: ColumnName
    label: Text


class InputField(_Section):
    """One column that a person or a client supplies, with its rules and its words."""

    column: ColumnName
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
        for level in self.levels:
            if not level or level != level.strip() or not fits(level):
                raise ValueError(
                    f'level "{level[:20]}" is not a printable text of 1 to {MAX_TEXT} characters without '
                    "blanks around it"
                )
        if len(set(self.levels)) < len(self.levels):
            raise ValueError("two levels are the same")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        if self.default is not None:
            self._check_default(self.default)
        return self

    def _check_default(self, default: float | bool | str) -> None:
        """Refuse a default that the form would show and the rules would then refuse."""
        if self.kind == "category":
            if not self.open_levels and str(default) not in self.levels:
                raise ValueError(f'default "{default}" is not one of the levels')
        elif self.kind == "boolean":
            if not isinstance(default, bool):
                raise ValueError(f'default "{default}" is neither true nor false')
        elif self.kind == "date":
            try:
                date.fromisoformat(str(default))
            except ValueError:
                raise ValueError(f'default "{default}" is not a date such as "1980-01-31"') from None
        else:
            self._check_number(default)

    def _check_number(self, default: float | bool | str) -> None:
        if isinstance(default, bool | str):
            raise ValueError(f'default "{default}" is not a number')
        if self.integer and not float(default).is_integer():
            raise ValueError(f"default {default:g} is not a whole number")
        below = self.minimum is not None and default < self.minimum
        if below or (self.maximum is not None and default > self.maximum):
            raise ValueError(f"default {default:g} lies outside minimum and maximum")


AggregateFunction = Literal[
    "count", "sum", "mean", "ratio", "zscore", "variation", "max_ratio", "fraud_rate", "n_frauds", "risk"
]
LastFunction = Literal["hours", "km", "speed"]


class HistoryAggregate(_Section):
    """Aggregates of the past of everything that shares the values of the `by` columns.

    Of the transactions in a window before this one: `count`; `sum` and `mean` of their amounts; this amount
    as a `ratio` to the mean, in standard deviations from it (`zscore`), as a ratio to the largest
    (`max_ratio`); standard deviation over mean (`variation`). Of the labels that became known in the window:
    `n_frauds`, their share (`fraud_rate`), and the share shrunk towards zero where few are known (`risk`).
    """

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
    label_delay_days: Days = 7.0
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
    train_days: float | None = Field(default=None, gt=0, le=MAX_DAYS)
    calibration_days: float = Field(default=7.0, gt=0, le=MAX_DAYS)
    delay_days: Days = 7.0
    test_days: float | None = Field(default=None, gt=0, le=MAX_DAYS)
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


ModelName = Literal["random_forest", "xgboost"]
CalibrationMethod = Literal["beta", "platt", "prior"]
PositiveNumber = Annotated[float, Field(gt=0)]


class ModelSettings(_Section):
    """Hyperparameters of both models, found by search; see the comments in each profile."""

    random_forest: Mapping[str, Any] = Field(default_factory=dict)
    xgboost: Mapping[str, Any] = Field(default_factory=dict)
    negatives_per_fraud: PositiveNumber | Mapping[ModelName, PositiveNumber] | None = None
    """Undersample honest rows to this many per fraud before fitting; calibration restores the base rate.
    One number for both models, or one for each that is named."""
    calibration: Mapping[ModelName, CalibrationMethod] = Field(default_factory=dict)
    """How raw scores become probabilities; "beta" unless a model is named."""

    def negatives_for(self, model: str) -> float | None:
        """Return one model's honest rows per fraud; None to fit on all."""
        chosen = self.negatives_per_fraud
        return {str(k): v for k, v in chosen.items()}.get(model) if isinstance(chosen, Mapping) else chosen

    def calibration_for(self, model: str) -> CalibrationMethod:
        """Return one model's calibration method."""
        methods: dict[str, CalibrationMethod] = {str(k): v for k, v in self.calibration.items()}
        return methods.get(model, "beta")


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
        check_references(self)
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

    @cached_property
    def needed_columns(self) -> frozenset[str]:
        """Columns that a table must have."""
        required = {field.column for field in self.fields if field.required}
        required |= {entity.column for entity in self.entities}
        return frozenset(required if self.columns.time is None else required | {self.columns.time})

    @cached_property
    def quick_rules(self) -> "tuple[QuickRules, QuickRules]":
        """Compiled rules of a transaction without a label, and of one with it."""
        from fraud.data.validate import quick_rules

        return quick_rules(self, False), quick_rules(self, True)

    @property
    def main_entity(self) -> Entity | None:
        """The entity whose past a client may send along: the first one declared."""
        return self.entities[0] if self.entities else None

    @property
    def time_origin_ms(self) -> int:
        """Epoch milliseconds of `columns.time_origin`."""
        origin = self.columns.time_origin
        return int(datetime(origin.year, origin.month, origin.day, tzinfo=UTC).timestamp() * 1000)


_RULES = {
    "extra_forbidden": "not a key of a profile; leave it out or check its spelling",
    "missing": "missing, and a profile needs it",
}
"""Sentences for the commonest slips, by pydantic's name of the error."""


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
        # Below `evaluation`, pydantic names the kind of plan too, which is no key of the file.
        loc = [str(part) for part in first["loc"]]
        key = ".".join(p for i, p in enumerate(loc) if i != 1 or loc[0] != "evaluation") or "profile"
        rule = _RULES.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
        raise ProfileError(f"{origin}: {key}: {rule.rstrip('.')}.", code="profile", field=key) from error


def load_profile(name_or_path: str | Path) -> Profile:
    """Return a shipped profile by name, or one read from a .toml path.

    Raises
    ------
    ProfileError
        There is no such profile, it is not TOML, or it breaks a rule.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raw = _shipped(str(name_or_path))
    elif not path.is_file():
        raise ProfileError(f"{path}: there is no such profile file.", code="profile_missing")
    elif path.stat().st_size > MAX_PROFILE_BYTES:
        raise ProfileError(
            f"{path}: larger than {MAX_PROFILE_BYTES:,} bytes, which no profile is; name a profile.",
            code="profile_toml",
        )
    else:
        raw = path.read_bytes()
    try:
        document = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProfileError(f"{name_or_path}: not text in UTF-8; save it so.", code="profile_toml") from error
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{name_or_path}: not valid TOML: {error}.", code="profile_toml") from error
    except RecursionError as error:
        raise ProfileError(f"{name_or_path}: nested too deeply.", code="profile_toml") from error
    return parse_profile(document, str(name_or_path))


def _shipped(name: str) -> bytes:
    entries = {
        Path(entry.name).stem: entry
        for entry in (files("fraud.data") / "profiles").iterdir()
        if entry.name.endswith(".toml")
    }
    if name not in entries:
        raise ProfileError(
            f'There is no profile "{name}"; shipped are {", ".join(sorted(entries))}, or name a .toml file.',
            code="profile_missing",
        )
    return entries[name].read_bytes()
