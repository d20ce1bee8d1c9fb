"""A release's history without pandas is the one that pandas reads, to the last bit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.data.past import read_past
from fraud.data.profile import Profile
from fraud.data.table import read_table, transactions_from_frame
from fraud.errors import BundleRefused
from fraud.models.bundle import HISTORY_FILE


def test_every_column_is_the_one_that_the_table_reader_finds(
    small_bundle: Path, small_profile: Profile
) -> None:
    path = small_bundle / HISTORY_FILE
    found, expected = read_past(path, small_profile), transactions_from_frame(read_table(path), small_profile)
    assert found.ids.tolist() == expected.ids.tolist()
    assert np.array_equal(found.times(), expected.times())
    assert np.array_equal(found.labels, expected.labels, equal_nan=True)
    assert np.array_equal(found.known_at_ms, expected.known_at_ms)
    assert found.numbers.keys() == expected.numbers.keys() and found.texts.keys() == expected.texts.keys()
    for name, column in expected.numbers.items():
        assert np.array_equal(found.numbers[name], column, equal_nan=True), name
    for name, texts in expected.texts.items():
        assert found.texts[name].texts() == texts.texts(), name


def test_missing_values_survive_and_rows_are_ordered_by_time(
    small_bundle: Path, small_profile: Profile, tmp_path: Path
) -> None:
    table = pq.read_table(small_bundle / HISTORY_FILE).slice(0, 500)
    optional = str(small_profile.columns.amount)
    fields = tuple(field.model_copy(update={"required": False}) for field in small_profile.fields)
    small_profile = small_profile.model_copy(update={"fields": fields})
    names = [small_profile.columns.label, optional]
    for name in names:
        values = table.column(name).to_pylist()
        holes = [None if i % 3 == 0 else value for i, value in enumerate(values)]
        position = table.schema.get_field_index(name)
        table = table.set_column(position, name, pa.array(holes, table.schema.field(name).type))
    path = tmp_path / "history.parquet"
    pq.write_table(table.take(list(reversed(range(500)))), path)
    found, expected = read_past(path, small_profile), transactions_from_frame(read_table(path), small_profile)
    assert np.array_equal(found.labels, expected.labels, equal_nan=True)
    assert np.array_equal(found.known_at_ms, expected.known_at_ms)
    assert np.array_equal(found.numbers[optional], expected.numbers[optional], equal_nan=True)
    assert bool(np.all(np.diff(found.times()) >= 0)) and np.isnan(found.numbers[optional]).any()


@pytest.mark.parametrize("damage", ["no parquet", "no rows", "no time", "other labels"])
def test_a_file_that_is_no_history_is_refused_in_one_sentence(
    damage: str, small_bundle: Path, small_profile: Profile, tmp_path: Path
) -> None:
    path, table = tmp_path / "history.parquet", pq.read_table(small_bundle / HISTORY_FILE)
    label = small_profile.columns.label
    if damage == "no rows":
        table = table.slice(0, 0)
    elif damage == "no time":
        table = table.drop_columns([small_profile.columns.time])
    elif damage == "other labels":
        column = table.schema.get_field_index(label)
        table = table.set_column(column, label, pa.array(["maybe"] * len(table)))
    pq.write_table(table, path)
    if damage == "no parquet":
        path.write_bytes(b"time,amount\n")
    with pytest.raises(BundleRefused, match=r"history\.parquet: not a history of this profile"):
        read_past(path, small_profile)
