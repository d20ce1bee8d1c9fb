"""The held-out predictions of a release, read only if they are those that its manifest speaks of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile, parse_profile
from fraud.data.table import Transactions
from fraud.errors import BundleRefused
from fraud.models import bundle
from fraud.models.evaluate import confusion
from fraud.models.signing import ANY_RELEASE, TrustedKeys
from fraud.records import MODELS

F64 = NDArray[np.float64]
HONEST_KINDS = frozenset({"none", "0", "nan", "None", ""})
"""What a typology says of a transaction that is no fraud."""


@dataclass(frozen=True)
class HeldOut:
    """One release's test window as it was judged: n transactions, both models' calibrated probabilities.

    Attributes
    ----------
    labels : float64 [n], 1 fraud, 0 legitimate
    time_ms, amount, typology : [n]; None where the profile has no such column
    probability : model -> float64 [n]
    curves : boosting's "train_aucpr", "validation_logloss" ... per round; empty where none were kept
    """

    manifest: Mapping[str, Any]
    profile: Profile
    ids: NDArray[np.object_]
    labels: F64
    time_ms: NDArray[np.int64] | None
    amount: F64 | None
    typology: NDArray[np.object_] | None
    probability: Mapping[str, F64]
    curves: Mapping[str, Sequence[float]]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls,
        manifest: Mapping[str, Any],
        profile: Profile,
        predictions: pd.DataFrame,
        curves: Mapping[str, Sequence[float]],
    ) -> "HeldOut":
        """Return the predictions after comparing them with the manifest's counts.

        Raises
        ------
        BundleRefused
            A column is missing, or the rows, the frauds or a confusion matrix are not the manifest's.
        """
        needed = {"id", "label", *MODELS}
        if missing := needed - set(predictions.columns):
            raise _foreign(f"the column {min(missing)} is missing")

        def column(name: str, dtype: type) -> Any:
            return predictions[name].to_numpy(dtype) if name in predictions else None

        held_out = cls(
            manifest=manifest,
            profile=profile,
            ids=column("id", object),
            labels=column("label", np.float64),
            time_ms=column("time_ms", np.int64),
            amount=column("amount", np.float64),
            typology=column("typology", object),
            probability={name: column(name, np.float64) for name in MODELS},
            curves=curves,
        )
        held_out._check()
        return held_out

    def _check(self) -> None:
        try:
            window = self.manifest["windows"]["test"]
            stated: dict[str, Any] = {"rows": window["n_rows"], "frauds": window["n_frauds"]}
            stated |= {name: dict(self.manifest["models"][name]["confusion"]) for name in MODELS}
            found: dict[str, Any] = {"rows": len(self), "frauds": int(self.labels.sum())}
            found |= {name: self.confusion(name) for name in MODELS}
        except (KeyError, TypeError, ValueError) as error:
            raise BundleRefused(
                "manifest.json lacks the test window, a threshold or a confusion matrix; train again.",
                code="manifest",
            ) from error
        for what, value in stated.items():
            if found[what] != value:
                raise _foreign(f"{what}: they come to {found[what]}, the manifest says {value}")

    def threshold(self, name: str) -> float:
        """Return the review cut-off that a model's figures are of."""
        return float(bundle.judged_entry(self.manifest["models"][name])["review"])

    def alerts(self, name: str) -> NDArray[np.bool_]:
        """Return on which transactions a model raises an alert, bool [n]."""
        return np.asarray(self.probability[name] >= self.threshold(name))

    def confusion(self, name: str) -> dict[str, int]:
        """Return the four counts of a model at its review cut-off."""
        return confusion(self.labels, self.alerts(name).astype(np.float64))

    @property
    def n_days(self) -> int | None:
        """Days with transactions in the test window; None without times."""
        return None if self.time_ms is None else len(np.unique(self.time_ms // DAY_MS))

    def transactions(self, table: Transactions) -> Transactions:
        """Return the test window's rows of the table that the release was trained on, in this order.

        Raises
        ------
        BundleRefused
            A transaction is not in the table, or another one goes by its id.
        """
        at = pd.Index(table.ids).get_indexer(pd.Index(self.ids))
        if (at < 0).any():
            raise _other_table(str(self.ids[int(np.argmin(at))]))
        found = table.take(at.astype(np.intp))
        differs = found.labels != self.labels
        if self.time_ms is not None:
            differs |= found.times() != self.time_ms
        if differs.any():
            raise _other_table(str(self.ids[int(np.argmax(differs))]))
        return found


def read_held_out(directory: Path, trusted: TrustedKeys = ANY_RELEASE) -> HeldOut:
    """Return the held-out predictions of a bundle; raises as `held_out_of` and as `read_manifest` do."""
    return held_out_of(directory, bundle.read_manifest(directory, trusted)[0])


def held_out_of(directory: Path, manifest: Mapping[str, Any]) -> HeldOut:
    """Return the held-out predictions that a manifest speaks of; only the files that are read are checked.

    Raises
    ------
    BundleRefused
        A file is missing, differs from its digest, or does not come to what the manifest says.
    """
    table = _read_listed(directory, manifest, bundle.PREDICTIONS_FILE)
    document = _read_json(directory, manifest, bundle.PROFILE_FILE)
    curves = {}
    if bundle.CURVES_FILE in manifest["files"]:
        curves = _read_json(directory, manifest, bundle.CURVES_FILE)
    try:
        predictions = pd.read_parquet(BytesIO(table))
    except (ValueError, OSError) as error:  # what pyarrow raises over damaged bytes
        raise BundleRefused(
            f"{bundle.PREDICTIONS_FILE} is not a Parquet table.", code="predictions"
        ) from error
    return HeldOut.of(manifest, parse_profile(document, bundle.PROFILE_FILE), predictions, curves)


def _read_json(directory: Path, manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        document = json.loads(_read_listed(directory, manifest, name))
    except ValueError as error:
        raise BundleRefused(f"{name}: not valid JSON.", code="json") from error
    if not isinstance(document, dict):
        raise BundleRefused(f"{name}: not a JSON object.", code="json")
    return document


def _read_listed(directory: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """Return a file's bytes; they are hashed as they were read, so that nothing can change in between."""
    entry = manifest["files"].get(name)
    if not isinstance(entry, dict):
        raise BundleRefused(f"{bundle.MANIFEST} does not list {name}; train again.", code="file_missing")
    path = directory / name
    if not path.is_file():
        raise BundleRefused(
            f"{directory.name}: {name} is missing; restore or retrain it.", code="file_missing"
        )
    content = path.read_bytes()
    if bundle.digest_of(content) != entry.get("sha256"):
        raise BundleRefused(
            f"{directory.name}: {name} does not belong to this manifest (its digest differs), so no figure "
            "can be drawn from it; restore or retrain it.",
            code="digest",
            field=name,
        )
    return content


def _foreign(why: str) -> BundleRefused:
    return BundleRefused(
        f"{bundle.PREDICTIONS_FILE} does not belong to this manifest ({why}); restore or retrain it.",
        code="predictions",
    )


def _other_table(transaction: str) -> BundleRefused:
    return BundleRefused(
        f"The table is not the one that this release was tested on (transaction {transaction}); "
        "name that table, or train again.",
        code="other_table",
    )
