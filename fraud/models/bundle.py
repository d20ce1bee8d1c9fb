"""A release's files on disk: written once by training, verified before anything is served from them.

manifest.json                 digests, windows, seeds, metrics with intervals, thresholds, versions
manifest.sig                  who released it: a signature over the manifest's bytes, where there is a key
README.md, CHANGELOG.md       the model card, and what changed with this version
modelos_otimizados/*.pkl      the fitted models for notebooks and scripts (never loaded when serving)
serving/*.npz, *.json         the same models without pickle: this is what the demo loads
serving/history.parquet       the recent past that history features are computed from
serving/reference.json        the held-out window as counts, which monitoring compares with
serving/golden.json           transactions with both models' answers, recomputed before anything is served
resultados/                   figures, and the held-out predictions and training curves behind them
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path, PurePosixPath
from typing import Any

from fraud.data.profile import Profile, parse_profile
from fraud.errors import BundleRefused, ProfileError
from fraud.features.pipeline import FeaturePipeline
from fraud.models.calibration import BetaCalibration
from fraud.models.engine import PackedForest
from fraud.models.reference import Reference
from fraud.models.reference_file import read_reference
from fraud.models.signing import ANY_RELEASE, LARGEST_SIGNATURE, SIGNATURE_FILE, TrustedKeys
from fraud.records import MODELS, Thresholds

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
PARTS = ("modelos_otimizados", "serving", "resultados")
CARD_FILE, CHANGELOG_FILE = "README.md", "CHANGELOG.md"
TEXTS = (CARD_FILE, CHANGELOG_FILE)
MODEL_FILES = {name: f"modelos_otimizados/{name}_otimizado.pkl" for name in MODELS}
SERVING_FILES = {name: f"serving/{name}.npz" for name in MODELS}
PROFILE_FILE = "serving/profile.json"
FEATURES_FILE = "serving/features.json"
HISTORY_FILE = "serving/history.parquet"
EXAMPLES_FILE = "serving/examples.json"
USES_FILE = "resultados/feedback_usado.parquet"
REFERENCE_FILE = "serving/reference.json"
GOLDEN_FILE = "serving/golden.json"
PREDICTIONS_FILE = "resultados/predicoes_teste.parquet"
CURVES_FILE = "resultados/curvas_treino_xgb.json"
LARGEST_MANIFEST = 4 * 2**20
MAX_FILES = 1_000
LARGEST_RELEASE = 4 * 2**30
"""Bytes of all files of a release together."""
_LIBRARIES = ("numpy", "pandas", "scikit-learn", "joblib", "numba", "pyarrow")


@dataclass(frozen=True)
class ServedModel:
    """One model as it is served: packed trees, calibration, cut-offs."""

    name: str
    forest: PackedForest
    calibration: BetaCalibration
    thresholds: Thresholds
    judged_at: Thresholds


@dataclass(frozen=True)
class Bundle:
    """A verified release, loaded without pickle."""

    directory: Path
    manifest: Mapping[str, Any]
    manifest_digest: str
    profile: Profile
    pipeline: FeaturePipeline
    models: Mapping[str, ServedModel]

    @property
    def version(self) -> str:
        """The released version, such as "1.0.0"."""
        return str(self.manifest["version"])

    def read_examples(self) -> Mapping[str, Any]:
        """Return the demo's examples and cards; empty where the bundle ships none."""
        path = self.directory / EXAMPLES_FILE
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def read_reference(self) -> Reference | None:
        """Return what the models saw on their held-out window; None for releases from before there was one.

        Raises
        ------
        BundleRefused
            The file breaks a rule.
        """
        path = self.directory / REFERENCE_FILE
        return read_reference(path) if REFERENCE_FILE in self.manifest["files"] else None

    @property
    def history_path(self) -> Path | None:
        """The recent past that serving starts from, if the profile uses history."""
        path = self.directory / HISTORY_FILE
        return path if path.is_file() else None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def seal(directory: Path, manifest: dict[str, Any]) -> None:
    """Add every file's digest and size to the manifest and write it last, so that a torn bundle has none."""
    parts = [path for part in PARTS for path in (directory / part).rglob("*")]
    listed = sorted(path for path in [*parts, *(directory / name for name in TEXTS)] if path.is_file())
    manifest["files"] = {
        path.relative_to(directory).as_posix(): {"sha256": digest(path), "bytes": path.stat().st_size}
        for path in listed
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=False, allow_nan=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def environment() -> dict[str, str]:
    """Return the versions that a model's bits depend on."""
    versions = {name: library_version(name) for name in _LIBRARIES}
    import xgboost  # its distribution is xgboost or xgboost-cpu; the module knows

    return {"python": platform.python_version(), **versions, "xgboost": xgboost.__version__}


def now_text() -> str:
    """Return the current time as an ISO 8601 text in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def read_manifest(directory: Path, trusted: TrustedKeys = ANY_RELEASE) -> tuple[dict[str, Any], str]:
    """Return a bundle's manifest and its digest, its signature and shape checked but not its files.

    Raises
    ------
    BundleRefused
        It is missing, too large, not signed by a trusted key, or no manifest of this schema. The signature
        is checked first, over the bytes: what a stranger wrote is not parsed.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise BundleRefused(
            f"{directory}: there is no {MANIFEST}; run `python -m fraud train --out {directory}`.",
            code="manifest_missing",
        )
    with path.open("rb") as stream:
        raw = stream.read(LARGEST_MANIFEST + 1)
    trusted.check(raw, read_signature(directory))
    return parse_manifest(raw, str(path)), hashlib.sha256(raw).hexdigest()


def read_signature(directory: Path) -> bytes | None:
    """Return the bytes of a bundle's signature file, cut where they are too many; None if it has none."""
    path = directory / SIGNATURE_FILE
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(LARGEST_SIGNATURE + 1)


def parse_manifest(raw: bytes, where: str) -> dict[str, Any]:
    """Return a manifest from its bytes, its shape checked; `where` begins the sentence if it is refused."""
    if len(raw) > LARGEST_MANIFEST:
        raise BundleRefused(f"{where}: larger than {LARGEST_MANIFEST:,} bytes.", code="manifest")
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleRefused(f"{where}: not valid JSON: {error}.", code="manifest") from error
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise BundleRefused(
            f"{where}: written for another schema version; this package reads {SCHEMA_VERSION}.",
            code="manifest",
        )
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("models"), dict):
        raise BundleRefused(f"{where}: files or models are missing.", code="manifest")
    return manifest


def verify(directory: Path, trusted: TrustedKeys = ANY_RELEASE) -> tuple[dict[str, Any], str]:
    """Return the manifest after checking who signed it, and every file it lists: size first, then digest.

    Raises
    ------
    BundleRefused
        A file is missing, or differs from its size or digest; or as `read_manifest`.
    """
    manifest, own_digest = read_manifest(directory, trusted)
    _check_sizes(directory, manifest["files"])
    for name, entry in manifest["files"].items():
        if digest(directory / name) != entry.get("sha256"):
            raise _altered(directory, name, "digest")
    return manifest, own_digest


def _check_sizes(directory: Path, files: Mapping[str, Any]) -> None:
    total = 0
    for name, entry in files.items():
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not isinstance(entry, dict):
            raise BundleRefused(f"{MANIFEST} lists an unsafe path: {name!r}.", code="path")
        path = directory / pure
        if not path.is_file():
            raise BundleRefused(
                f"{directory.name}: {name} is missing; restore or retrain it.", code="file_missing"
            )
        size = path.stat().st_size
        if size != entry.get("bytes"):
            raise _altered(directory, name, "size")
        total += size
    if len(files) > MAX_FILES or total > LARGEST_RELEASE:
        raise BundleRefused(
            f"{directory.name}: {len(files):,} files of {total:,} bytes are more than a release may have "
            f"({MAX_FILES:,} files, {LARGEST_RELEASE:,} bytes).",
            code="too_large",
        )


def _altered(directory: Path, name: str, what: str) -> BundleRefused:
    return BundleRefused(
        f"{directory.name}: {name} is not the file that was released (its {what} differs); "
        "restore or retrain it.",
        code="digest",
        field=name,
    )


def load_bundle(directory: Path, trusted: TrustedKeys = ANY_RELEASE) -> Bundle:
    """Return a verified bundle, ready to serve.

    Parameters
    ----------
    trusted : whose releases are loaded; by default anybody's

    Raises
    ------
    BundleRefused
        Anything is missing, altered, malformed, not signed by whom it must be, or of another schema. Nothing
        is unpickled.
    """
    manifest, own_digest = verify(directory, trusted)
    needed = {PROFILE_FILE, FEATURES_FILE, *SERVING_FILES.values()}
    missing = needed - set(manifest["files"])
    if missing:
        raise BundleRefused(f"{MANIFEST} does not list {min(missing)}.", code="file_missing")
    try:
        profile = parse_profile(_read_json(directory / PROFILE_FILE), PROFILE_FILE)
    except ProfileError as error:
        raise BundleRefused(error.message, code="profile") from error
    pipeline = FeaturePipeline.from_json(_read_json(directory / FEATURES_FILE), profile)
    models = {name: _served(directory, manifest, name, len(pipeline.names)) for name in MODELS}
    return Bundle(directory, manifest, own_digest, profile, pipeline, models)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleRefused(f"{path.name}: not valid JSON: {error}.", code="json") from error
    if not isinstance(document, dict):
        raise BundleRefused(f"{path.name}: not a JSON object.", code="json")
    return document


def _served(directory: Path, manifest: Mapping[str, Any], name: str, n_features: int) -> ServedModel:
    forest = PackedForest.load(directory / SERVING_FILES[name])
    if forest.n_features != n_features:
        raise BundleRefused(
            f"{name} expects {forest.n_features} features and the profile yields {n_features}.", code="schema"
        )
    try:
        entry = manifest["models"][name]
        calibration = BetaCalibration(**{k: float(entry["calibration"][k]) for k in ("a", "b", "c")})
        thresholds = _thresholds(entry["thresholds"])
        judged_at = _thresholds(judged_entry(entry))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefused(
            f"{MANIFEST}: models.{name} lacks a calibration or thresholds.", code="manifest"
        ) from error
    for cut_offs in (thresholds, judged_at):
        if not 0 < cut_offs.review <= cut_offs.decline <= 1:
            raise BundleRefused(
                f"{MANIFEST}: models.{name}.thresholds are not 0 < review <= decline <= 1.", code="schema"
            )
    return ServedModel(name, forest, calibration, thresholds, judged_at)


def judged_entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the cut-offs that a model's figures in the manifest are of; older releases serve with them."""
    judged: Mapping[str, Any] = entry.get("judged_at", entry["thresholds"])
    return judged


def _thresholds(entry: Mapping[str, Any]) -> Thresholds:
    return Thresholds(review=float(entry["review"]), decline=float(entry["decline"]))
