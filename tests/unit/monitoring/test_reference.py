import copy
import json
from pathlib import Path

import numpy as np
import pytest

from fraud.data.parquet_batches import parquet_batches
from fraud.errors import BundleRefused, TableError
from fraud.models.bundle import MANIFEST, REFERENCE_FILE, load_bundle
from fraud.models.bundle_writer import to_frame
from fraud.models.reference import Batch, Sketch, build_reference, in_batches
from fraud.models.reference_file import from_json, read_reference, to_json, write_reference
from fraud.monitoring.drift import measure_drift, start_window
from tests.unit.monitoring.tables import profile, reference_of, table, window_of


@pytest.fixture(scope="module")
def reference() -> Sketch:
    return reference_of(table(np.random.default_rng(1), 20_000))


def test_a_reference_is_read_as_it_was_written(reference: Sketch, tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    noted = reference.with_extension("segments", {"country": ["PT"]})
    write_reference(noted, path)
    again = read_reference(path)
    assert to_json(again) == to_json(noted)
    rows = table(np.random.default_rng(2), 2_000, days=(49, 56))
    assert measure_drift(again, window_of(again, rows)) == measure_drift(
        reference, window_of(reference, rows)
    )
    write_reference(noted, tmp_path / "twice.json")
    assert path.read_bytes() == (tmp_path / "twice.json").read_bytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(schema_version=2),
        lambda d: d.pop("columns"),
        lambda d: d["columns"][0].update(kind="picture"),
        lambda d: d["columns"][0]["bounds"].reverse(),
        lambda d: d["columns"][0]["cells"][0].__setitem__(0, -1),
        lambda d: d["columns"][0]["cells"][0].__setitem__(0, 2**62),
        lambda d: d["columns"][0]["cells"][0].__setitem__(0, 7),
        lambda d: d["columns"][0]["cells"][0].append(1),
        lambda d: d["columns"][0]["cells"][0].__setitem__(0, 0.5),
        lambda d: d["columns"][0]["groups"].__setitem__(0, 5),
        lambda d: d["columns"][0].update(effect=float("nan")),
        lambda d: d["columns"][0].update(outside=[0.0]),
        lambda d: d["columns"][2]["levels"].__setitem__(0, "x" * 500),
        lambda d: d["columns"][2]["levels"].__setitem__(0, d["columns"][2]["levels"][1]),
        lambda d: d["columns"][1].update(name="amount"),
        lambda d: d["cell_rows"].__setitem__(0, 10**6),
        lambda d: d.update(block_days=0),
        lambda d: d.update(extensions=[]),
        lambda d: d.update(first_ms="now"),
    ],
)
def test_a_reference_that_contradicts_itself_is_refused(reference: Sketch, spoil: object) -> None:
    document = copy.deepcopy(to_json(reference))
    spoil(document)  # type: ignore[operator]
    with pytest.raises(BundleRefused, match="refused"):
        from_json(document)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text("[" * 100_000)
    with pytest.raises(BundleRefused):
        read_reference(path)
    with pytest.raises(BundleRefused):
        from_json([])


def test_a_reference_holds_no_row(reference: Sketch) -> None:
    text = json.dumps(to_json(reference))
    assert '"K1' not in text
    assert len(text) < 60_000


def test_a_bundle_has_a_reference_that_its_manifest_lists(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    reference = bundle.read_reference()
    assert reference is not None
    assert REFERENCE_FILE in bundle.manifest["files"]
    assert reference.n_rows == bundle.manifest["windows"]["test"]["n_rows"]
    names = {column.name for column in reference.layout.columns}
    assert {"amount", "score:xgboost", "alert:random_forest", "disagreement"} <= names
    place = [column.name for column in reference.layout.columns].index("disagreement")
    rate = reference.counts[place].total[1] / reference.n_rows
    assert rate == pytest.approx(bundle.manifest["disagreement_rate"], abs=1e-6)
    assert (small_bundle / REFERENCE_FILE).stat().st_size < 200_000


def test_an_older_bundle_loads_and_has_none(small_bundle: Path, tmp_path: Path) -> None:
    import shutil

    old = tmp_path / "old"
    shutil.copytree(small_bundle, old)
    (old / REFERENCE_FILE).unlink()
    manifest = json.loads((old / MANIFEST).read_text())
    del manifest["files"][REFERENCE_FILE]
    (old / MANIFEST).write_text(json.dumps(manifest))
    assert load_bundle(old).read_reference() is None


def test_batches_of_a_file_count_as_the_table_does(tmp_path: Path) -> None:
    small = profile()
    rows = table(np.random.default_rng(3), 5_000)
    rows.numbers["amount"][::7] = np.nan
    path = tmp_path / "t.parquet"
    to_frame(rows, small).to_parquet(path)

    def batches() -> list[Batch]:
        return [Batch(part) for part in parquet_batches(path, small, 700)]

    whole = build_reference(small, lambda: in_batches(Batch(rows)))
    read = build_reference(small, batches)
    assert to_json(read) == to_json(whole)
    window = start_window(whole)
    for batch in batches():
        window.update(batch)
    assert measure_drift(whole, window.sketch()).drifted == ()


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("no")
    with pytest.raises(TableError, match=r"t\.parquet"):
        list(parquet_batches(path, profile()))
