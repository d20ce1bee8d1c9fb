"""What a page shows of monitoring: the newest report and the runs before it, read from files.

The files may have been written by hand, by another version or by somebody else, and end up on a public page:
all that is drawn is validated here, so that a page meets no code without words and no figure without bounds.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fraud.errors import StorageError
from fraud.monitoring.alerts import AlertState, Severity
from fraud.monitoring.ledger import (
    LEDGER_FILE,
    MAX_RUNS,
    REPORT_JSON,
    REPORT_SCHEMA,
    RunLine,
    read_ledger,
)
from fraud.monitoring.texts import WORDS

MAX_BYTES: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class MonitoringRecord:
    """The newest report and the runs up to it.

    Attributes
    ----------
    report : what `report.report_of` makes, as far as it is shown
    runs : oldest first, with windows as long as the report's and none later
    newest_ms : end of the newest window of that length, later than the report's if that looked back
    example : it came with the models, from a simulated production
    signature : changes whenever the files do
    """

    report: dict[str, Any]
    runs: tuple[RunLine, ...]
    newest_ms: int
    example: bool
    signature: str


class MonitoringHistory:
    """Reads a monitoring directory, and an example in its place while that has no run. Reads when called.

    Parameters
    ----------
    directory : where `monitor` keeps its ledger, and its report below `report`
    example : holds ledger.json and report.json; need not exist
    """

    def __init__(self, directory: Path, example: Path) -> None:
        self._own = (directory / LEDGER_FILE, directory / "report" / REPORT_JSON)
        self._example = (example / LEDGER_FILE, example / REPORT_JSON)
        self._known: tuple[str, MonitoringRecord | StorageError | None] | None = None

    def __call__(self) -> MonitoringRecord | None:
        """Return the newest record; None where nobody has looked yet. Reads files only when they changed.

        Raises
        ------
        StorageError
            A file is damaged, foreign or gone.
        """
        signature = "|".join(_stamp(path) for path in (*self._own, *self._example))
        if self._known is None or self._known[0] != signature:
            found: MonitoringRecord | StorageError | None
            try:
                found = self._read(signature)
            except StorageError as error:
                found = error  # kept as well: a damaged file is not read anew for every visitor
            self._known = (signature, found)
        known = self._known[1]
        if isinstance(known, StorageError):
            raise known
        return known

    def _read(self, signature: str) -> MonitoringRecord | None:
        for (ledger, report), example in ((self._own, False), (self._example, True)):
            runs = _runs(ledger)
            if runs:
                return _record(runs, _report(report), signature, example=example)
        return None


def _record(
    runs: tuple[RunLine, ...], report: dict[str, Any], signature: str, *, example: bool
) -> MonitoringRecord:
    until_ms = round(datetime.fromisoformat(report["until"]).timestamp() * 1000)
    start_ms = round(datetime.fromisoformat(report["window"]["start"]).timestamp() * 1000)
    series = [run for run in runs if run.window_ms == until_ms - start_ms]
    earlier = tuple(run for run in series if run.until_ms <= until_ms)
    newest_ms = max((run.until_ms for run in series), default=until_ms)
    return MonitoringRecord(report, earlier, newest_ms, example, signature)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "-"
    return f"{found.st_ino}.{found.st_mtime_ns}.{found.st_size}"


def _runs(path: Path) -> tuple[RunLine, ...]:
    if not path.exists():
        return ()
    _require_small(path)
    try:
        runs = read_ledger(path.parent).runs
        checked = _LEDGER.validate_python([run.to_json() for run in runs])
    except (ValidationError, OSError, RecursionError) as error:
        raise _damaged(path) from error
    except StorageError as error:
        raise StorageError(error.message, code="monitoring_damaged", params={"path": path.name}) from error
    return tuple(RunLine(**line.model_dump()) for line in checked)


def _report(path: Path) -> dict[str, Any]:
    _require_small(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("schema_version") != REPORT_SCHEMA:
            raise StorageError(
                f"{path.name} was written by another version of this program; run python -m fraud monitor "
                "with this one.",
                code="monitoring_version",
                params={"path": path.name},
            )
        return _Report.model_validate(document).model_dump(mode="json")
    except (ValueError, OSError, RecursionError) as error:  # pydantic's errors are ValueErrors
        raise _damaged(path) from error


def _require_small(path: Path) -> None:
    try:
        size = os.path.getsize(path)
    except OSError:
        raise StorageError(
            f"{path.name} is gone; run python -m fraud monitor without --out to have it again.",
            code="monitoring_gone",
            params={"path": path.name},
        ) from None
    if size > MAX_BYTES:
        raise _damaged(path)


def _damaged(path: Path) -> StorageError:
    return StorageError(
        f"{path.name} is damaged or not of this program; move it away and run python -m fraud monitor.",
        code="monitoring_damaged",
        params={"path": path.name},
    )


# What a report and a ledger may hold. Keys that no page shows are left out.


def _worded(code: str) -> str:
    if code not in WORDS:
        raise ValueError("a code without words")
    return code


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without a zone")
    return text


Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Millis = Annotated[int, Field(ge=0, le=4 * 10**12)]
Name = Annotated[str, Field(max_length=200)]
Code = Annotated[str, AfterValidator(_worded)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
Model = Literal["random_forest", "xgboost"]
Params = dict[Name, bool | Number | Name | None]
Verdict = Literal["drift", "ok", "insufficient evidence"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Reason(_Part):
    code: Code
    params: Params = Field(max_length=40)


class _Interval(_Part):
    value: Number | None
    low: Number | None
    high: Number | None


class _Counted(_Interval):
    n_answers: Count
    n_frauds: Count
    basis: Name = "audit"


class _Realised(_Part):
    n_frauds: Count
    n_answers: Count
    n_asked: Count
    figures: dict[Name, _Counted] = Field(max_length=50)
    naive_biased: dict[Name, Number | None] = Field(max_length=50)


class _Estimated(_Part):
    figures: dict[Name, _Interval] = Field(max_length=50)


class _Judgement(_Part):
    health: Literal["healthy", "alert", "insufficient_evidence"]
    reasons: list[_Reason] = Field(max_length=20)


class _AnswerError(_Part):
    assumed: Share
    found: _Interval | None
    used: Share


class _Opinions(_Part):
    n_lone: Count
    n_confirmed: Count
    n_overturned: Count
    n_awaiting: Count
    error: _AnswerError


class _Assessment(_Part):
    opinions: _Opinions | None = None
    realised: _Realised
    estimated: _Estimated | None
    f1: _Judgement
    concept_drift: _Judgement


class _Band(_Part):
    score: Share
    held_out: Share | None
    value: Share | None
    low: Share | None
    high: Share | None
    n_predictions: Count
    n_answers: Count
    n_frauds: Count


class _Bands(_Part):
    bins: list[_Band] = Field(max_length=100)


class _Segment(_Part):
    column: Name
    level: Name
    kind: Name


class _Gap(_Part):
    gap: Number
    estimated: Number


class _SegmentAssessment(_Part):
    segment: _Segment
    model: Model
    realised: _Realised
    gap: _Gap | None
    judgement: _Judgement


class _Test(_Part):
    q_value: Number


class _Column(_Part):
    name: Name
    verdict: Verdict
    psi: Number | None
    missing_reference: Number
    missing_current: Number
    tests: list[_Test] = Field(max_length=20)


class _Drift(_Part):
    verdict: Verdict
    reasons: list[_Reason] = Field(max_length=20)
    columns: list[_Column] = Field(max_length=1000)
    assumptions: list[_Reason] = Field(max_length=20)


class _Curve(_Part):
    name: Name
    unit: Name
    edges: list[Number] = Field(max_length=500)
    levels: list[Name] = Field(max_length=500)
    reference: list[Number] = Field(min_length=1, max_length=500)
    current: list[Number] = Field(min_length=1, max_length=500)


class _Driver(_Part):
    column: Name


class _Domain(_Part):
    verdict: Verdict
    reasons: list[_Reason] = Field(max_length=20)
    drivers: list[_Driver] = Field(max_length=50)


class _Operations(_Part):
    n_predictions: Count
    per_day: Number
    latency_ms: dict[Literal["p50", "p95", "p99"], Number]
    versions: dict[Name, Count] = Field(max_length=200)


class _Stretch(_Part):
    start: Moment
    end: Moment


class _Version(_Part):
    version: Name


class _Alert(_Part):
    key: Name
    state: AlertState
    severity: Severity
    since_ms: Millis
    last_true_ms: Millis
    reason: Code
    params: Params = Field(max_length=40)
    fired_ms: Millis | None
    unknown: bool


class _Report(_Part):
    until: Moment
    window: _Stretch
    matured: _Stretch
    dataset_revision: Name | None
    model: _Version
    profile: Name
    simulated: bool = False
    state: Literal["healthy", "alert", "insufficient_evidence"]
    n_predictions: Count
    n_mature: Count
    n_labels: Count
    held_out_f1: dict[Model, _Interval | None]
    models: dict[Model, _Assessment] = Field(min_length=1)
    calibration: dict[Model, _Bands] = Field(default_factory=dict)
    segments: list[_SegmentAssessment] = Field(max_length=5000)
    drift: _Drift
    curves: list[_Curve] = Field(max_length=100)
    domain: _Domain
    operations: _Operations
    alerts: list[_Alert] = Field(max_length=5000)


class _RunLine(_Part):
    until_ms: Millis
    window_ms: Millis
    dataset_revision: Name | None
    model_version: Name
    manifest_digest: Name
    state: Name
    figures: dict[Name, _Interval | Number | Millis | None] = Field(max_length=100)


_LEDGER: TypeAdapter[list[_RunLine]] = TypeAdapter(Annotated[list[_RunLine], Field(max_length=10 * MAX_RUNS)])
