"""The table of used flags: what is written is what is read, and nothing else is believed."""

import hashlib
from pathlib import Path

import pytest

from fraud.errors import BundleRefused
from fraud.ids import new_id
from fraud.models.provenance import FlagUse, UseTable, write_uses


def table(path: Path) -> UseTable:
    content = path.read_bytes()
    return UseTable(content, hashlib.sha256(content).hexdigest())


def test_every_flag_is_found_again_and_no_other(tmp_path: Path) -> None:
    reasons = ["", "tied", "in quarantine"]
    uses = [FlagUse(new_id("f"), "a" * 64, 0.5, reasons[n % 3]) for n in range(500)]
    write_uses(uses[::-1], tmp_path / "uses.parquet")
    found = table(tmp_path / "uses.parquet")
    assert [found.reason_of(use.flag_id) for use in uses] == [use.reason for use in uses]
    assert [use.used for use in uses[:3]] == [True, False, False]
    for stranger in (new_id("f"), "", "f_", uses[0].flag_id[:-1], uses[0].flag_id + "\0", "é", "~"):
        assert found.reason_of(stranger) is None


def test_a_table_without_rows_knows_nobody(tmp_path: Path) -> None:
    write_uses([], tmp_path / "uses.parquet")
    assert table(tmp_path / "uses.parquet").reason_of(new_id("f")) is None


def test_bytes_that_are_not_the_released_ones_are_refused(tmp_path: Path) -> None:
    write_uses([FlagUse(new_id("f"), "a" * 64, 1.0)], tmp_path / "uses.parquet")
    content = (tmp_path / "uses.parquet").read_bytes()
    with pytest.raises(BundleRefused, match="digest differs"):
        UseTable(content + b"x", hashlib.sha256(content).hexdigest())
    with pytest.raises(BundleRefused, match="cannot be read"):
        UseTable(b"no table", hashlib.sha256(b"no table").hexdigest())
