"""What a node remembers survives its restart; what cannot be read counts as nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.errors import StorageError
from fraud.serving.standing import RolledBack, Standing, StandingFile

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GIVEN_UP = RolledBack("1.0.1", "d" * 64, 7, "3 of 3 answers failed", AT)


@pytest.mark.parametrize("standing", [Standing(), Standing(7, "a" * 40), Standing(9, None, GIVEN_UP)])
def test_what_is_written_is_read_again(standing: Standing, tmp_path: Path) -> None:
    StandingFile(tmp_path / "n" / "standing.json").write(standing)
    assert StandingFile(tmp_path / "n" / "standing.json").read() == standing


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"sequence": "x", "revision": null, "rolled_back": null}']
)
def test_a_torn_or_foreign_file_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "standing.json").write_text(text)
    assert StandingFile(tmp_path / "standing.json").read() == Standing()


def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"standing\.json cannot be written"):
        StandingFile(tmp_path / "file" / "standing.json").write(Standing())


@pytest.mark.parametrize(
    ("digest", "sequence", "refused"), [("d", 7, True), ("d", 8, False), ("e", 7, False)]
)
def test_a_version_given_up_is_refused_until_a_newer_change_names_it(
    digest: str, sequence: int, refused: bool
) -> None:
    assert Standing(7, None, GIVEN_UP).refuses(digest * 64, sequence) is refused
