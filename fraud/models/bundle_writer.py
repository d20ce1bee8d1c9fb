"""Writing what a training run produced as a bundle."""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import NEVER_MS, Transactions, read_table, transactions_from_frame
from fraud.errors import BundleRefused
from fraud.features.history import History
from fraud.features.reach import rows_in_reach
from fraud.models import bundle
from fraud.models.analysis.held_out import HeldOut
from fraud.models.card import changelog, model_card
from fraud.models.estimators import FraudClassifier
from fraud.models.examples import REACH_DAYS
from fraud.models.golden import check_golden
from fraud.models.golden_writer import choose_golden
from fraud.models.parity import N_ROWS, check_parity
from fraud.models.provenance import FlagUse, write_uses
from fraud.models.reference import Batch, Reference, build_reference, in_batches
from fraud.models.reference_file import write_reference
from fraud.models.report import write_figures
from fraud.models.signing import SIGNATURE_FILE, SigningKey
from fraud.models.train import TrainedModel, Training
from fraud.models.versioning import ReleaseNotes, recipe


def write_bundle(
    training: Training,
    directory: Path,
    *,
    version: str,
    data_source: Mapping[str, Any],
    examples: Mapping[str, Any],
    uses: Sequence[FlagUse] = (),
    notes: ReleaseNotes = ReleaseNotes(),  # noqa: B008 (frozen)
    reports: Mapping[str, bytes] | None = None,
    key: SigningKey | None = None,
    parity_rows: int = N_ROWS,
) -> None:
    """Write all files of a release, or leave what was there.

    The release is written beside the directory, loaded once as a server would, and only then moved into
    place, the manifest last: a full disk or a crash while writing costs nothing that was released before.

    Parameters
    ----------
    directory : made if missing; the files of an earlier bundle in it are replaced, others stay
    data_source : where the table came from and its digest, copied into the manifest
    examples : what `fraud.models.examples.choose_examples` returned
    uses : what the run made of each flag; kept as a table of ids, digests and reasons
    notes : what the release replaces and how much it changes, for its changelog
    reports : file name -> content, such as the gate's; kept in resultados/
    key : signs the manifest; None leaves the release unsigned
    parity_rows : how many rows the packed models are compared with the fitted ones on

    Raises
    ------
    BundleRefused
        The packed models, or the written release, do not answer as the fitted models do.
    """
    staging = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    manifest = _manifest(training, version, data_source)
    manifest["change"] = notes.to_json()
    manifest["parity"] = _parity(training, parity_rows)
    _write_files(training, staging, examples, manifest)
    if uses:
        write_uses(uses, staging / bundle.USES_FILE)
    for name, content in (reports or {}).items():
        (staging / "resultados" / name).write_bytes(content)
    (staging / bundle.CARD_FILE).write_text(model_card(manifest, training.profile), encoding="utf-8")
    (staging / bundle.CHANGELOG_FILE).write_text(changelog(manifest, notes), encoding="utf-8")
    bundle.seal(staging, manifest)
    if key is not None:
        (staging / SIGNATURE_FILE).write_bytes(key.sign((staging / bundle.MANIFEST).read_bytes()))
    _rehearse(staging)
    _move_into_place(staging, directory)


def _parity(training: Training, n_rows: int) -> dict[str, Any]:
    return {
        name: check_parity(
            name,
            model.fitted.estimator,
            model.forest,
            model.calibration,
            model.thresholds,
            n_rows=n_rows,
            seed=training.seed,
        ).to_json()
        for name, model in training.models.items()
    }


def _rehearse(staging: Path) -> None:
    """Load what was written as a server would, and ask it the golden vectors."""
    written = bundle.load_bundle(staging)
    written.read_reference()
    history = None
    if written.history_path is not None:
        past = transactions_from_frame(read_table(written.history_path), written.profile)
        history = History.of(past, written.profile)
    if not check_golden(written, history):
        raise BundleRefused("The release has no golden vectors; report this.", code="golden")


def _move_into_place(staging: Path, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / bundle.MANIFEST).unlink(missing_ok=True)  # from here to its return there is no bundle
    (directory / SIGNATURE_FILE).unlink(missing_ok=True)
    for part in bundle.PARTS:
        shutil.rmtree(directory / part, ignore_errors=True)
        (staging / part).rename(directory / part)
    for name in (*bundle.TEXTS, SIGNATURE_FILE, bundle.MANIFEST):
        if (staging / name).exists():
            (staging / name).replace(directory / name)
    staging.rmdir()


def _write_files(
    training: Training, directory: Path, examples: Mapping[str, Any], manifest: Mapping[str, Any]
) -> None:
    for part in bundle.PARTS:
        (directory / part).mkdir(parents=True)
    profile = training.profile
    _write_json(directory / bundle.PROFILE_FILE, profile.model_dump(mode="json", by_alias=True))
    _write_json(directory / bundle.FEATURES_FILE, training.pipeline.to_json())
    _write_json(directory / bundle.EXAMPLES_FILE, examples)
    _write_json(directory / bundle.GOLDEN_FILE, choose_golden(training))
    for name, model in training.models.items():
        model.forest.save(directory / bundle.SERVING_FILES[name])
        _write_pickle(training, model, directory / bundle.MODEL_FILES[name])
    write_reference(_reference(training), directory / bundle.REFERENCE_FILE)
    _write_history(training.transactions, profile, directory / bundle.HISTORY_FILE)
    predictions, curves = _predictions(training), _curves(training)
    predictions.to_parquet(directory / bundle.PREDICTIONS_FILE, compression="zstd", index=False)
    _write_json(directory / bundle.CURVES_FILE, curves)
    write_figures(HeldOut.of(manifest, profile, predictions, curves), directory / "resultados")


def _write_pickle(training: Training, model: TrainedModel, path: Path) -> None:
    classifier = FraudClassifier(
        model.name, training.pipeline, model.fitted.estimator, model.calibration, model.thresholds
    )
    joblib.dump(classifier, path, compress=("zlib", 6))


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def to_frame(transactions: Transactions, profile: Profile) -> pd.DataFrame:
    """Return typed transactions as a table that `transactions_from_frame` reads back as it was."""
    roles = profile.columns
    columns: dict[str, Any] = {}
    if roles.id is not None:
        columns[roles.id] = transactions.ids
    if roles.time is not None:
        if roles.time_step_ms is not None:
            columns[roles.time] = (transactions.times() - profile.time_origin_ms) / roles.time_step_ms
        else:
            columns[roles.time] = pd.to_datetime(transactions.times(), unit="ms", utc=True)
    for field in profile.fields:
        if field.kind == "date":
            days = transactions.numbers[field.column]
            columns[field.column] = pd.to_datetime(days, unit="D")
        elif field.kind != "category":
            columns[field.column] = transactions.numbers[field.column]
    for name, column in transactions.texts.items():
        columns[name] = pd.Categorical.from_codes(column.codes, pd.Index(column.values, dtype=str))
    labels = transactions.labels
    words = {1.0: roles.fraud_values[0], 0.0: roles.legitimate_values[0]}
    columns[roles.label] = [words.get(label) for label in labels.tolist()]
    if roles.label_at is not None:
        known = transactions.known_at_ms
        reported = np.where((labels == 1) & (known != NEVER_MS), known, np.iinfo(np.int64).min)
        columns[roles.label_at] = pd.to_datetime(reported.view("datetime64[ms]"), utc=True)
    return pd.DataFrame(columns)


def recent_rows(transactions: Transactions, profile: Profile) -> NDArray[np.intp]:
    """Return as much of the past as the features of examples and golden vectors look back on."""
    from_ms = int(transactions.times()[-1]) - REACH_DAYS * DAY_MS
    return rows_in_reach(transactions, profile, from_ms)


def _write_history(transactions: Transactions, profile: Profile, path: Path) -> None:
    if not profile.features.history:
        return
    to_frame(transactions.take(recent_rows(transactions, profile)), profile).to_parquet(
        path, compression="zstd", index=False
    )


def _reference(training: Training) -> Reference:
    """Return the held-out window as counts: what the release's columns, scores and decisions are like."""
    window = Batch(
        training.transactions.take(training.split.test),
        {name: model.test_probability for name, model in training.models.items()},
        {name: model.test_probability >= model.thresholds.review for name, model in training.models.items()},
    )
    return build_reference(training.profile, lambda: in_batches(window))


def _predictions(training: Training) -> pd.DataFrame:
    """Return the test window as it was judged, every score to its last bit: an alert may hang on it."""
    test = training.transactions.take(training.split.test)
    columns: dict[str, Any] = {"id": test.ids, "label": test.labels.astype(np.int8)}
    if test.time_ms is not None:
        columns["time_ms"] = test.time_ms
    if training.profile.columns.amount is not None:
        columns["amount"] = test.numbers[training.profile.columns.amount]
    if test.typology is not None:
        columns["typology"] = test.typology
    return pd.DataFrame(columns | {name: model.test_probability for name, model in training.models.items()})


def _curves(training: Training) -> dict[str, list[float]]:
    curves = training.models["xgboost"].fitted.curves
    return {name: [round(value, 6) for value in values] for name, values in curves.items()}


def _manifest(training: Training, version: str, data_source: Mapping[str, Any]) -> dict[str, Any]:
    split = training.split
    models = {name: _model_entry(training, model) for name, model in training.models.items()}
    parameters = {name: entry["parameters"] for name, entry in models.items()}
    return {
        "schema_version": bundle.SCHEMA_VERSION,
        "version": version,
        "created_at": bundle.now_text(),
        "profile": training.profile.name,
        "seed": training.seed,
        "data": dict(data_source) | {"n_rows": training.n_rows},
        "n_feedback_rows": training.n_additions,
        "windows": training.windows() | {"n_dropped_compromised": split.n_dropped_compromised},
        "note": split.note,
        "thresholds_set_on": _set_on(training),
        "features": list(training.pipeline.names),
        "recipe": recipe(training.profile, training.pipeline.names, parameters),
        "models": models,
        "disagreement_rate": _disagreement(training),
        "environment": bundle.environment(),
    }


def _set_on(training: Training) -> dict[str, Any]:
    """Return which rows set the cut-offs that are served: the newest traffic, or the calibration window."""
    newest = training.newest
    if newest is None:
        return {"window": "calibration"}
    first, last = (datetime.fromtimestamp(int(ms) / 1000, UTC).isoformat() for ms in newest.times()[[0, -1]])
    return {"window": "newest", "n_rows": len(newest), "first_at": first, "last_at": last}


def _model_entry(training: Training, model: TrainedModel) -> dict[str, Any]:
    settings = training.profile.models
    return {
        "parameters": dict(getattr(settings, model.name)),
        "engine": model.fitted.engine,
        "best_iteration": model.fitted.best_iteration,
        # Of the fit that is calibrated, after undersampling; older releases have none of this.
        "fitted": {"n_rows": model.fitted.n_rows, "n_frauds": model.fitted.n_frauds},
        "scale": model.forest.scale,
        "calibration": {
            "method": settings.calibration_for(model.name),
            "a": model.calibration.a,
            "b": model.calibration.b,
            "c": model.calibration.c,
        },
        "thresholds": {"review": model.thresholds.review, "decline": model.thresholds.decline},
        "judged_at": {"review": model.judged_at.review, "decline": model.judged_at.decline},
        "metrics": {name: estimate.to_json() for name, estimate in model.metrics.items()},
        "confusion": dict(model.confusion),
        "importance": {
            name: estimate.to_json()
            for name, estimate in sorted(model.importance.items(), key=lambda item: -item[1].value)
        },
    }


def _disagreement(training: Training) -> float:
    """Return the share of held-out transactions on which one model alerts and the other does not."""
    alerts = [m.test_probability >= m.judged_at.review for m in training.models.values()]
    return round(float(np.mean(alerts[0] != alerts[1])), 6)
