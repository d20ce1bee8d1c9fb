"""What a spreadsheet would run is written as text, and everything else as it is."""

import pandas as pd
import pytest

from fraud.data.spreadsheet import spreadsheet_safe


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =HYPERLINK()", "-"]
)
def test_a_formula_becomes_text(text: str) -> None:
    assert spreadsheet_safe(pd.DataFrame({"a": [text]}))["a"].tolist() == ["'" + text]


def test_names_of_columns_are_cells_too() -> None:
    assert list(spreadsheet_safe(pd.DataFrame({"=1": [1]}))) == ["'=1"]


def test_numbers_times_and_plain_words_stay() -> None:
    frame = pd.DataFrame(
        {"n": [-1.5], "t": [pd.Timestamp("2026-01-01")], "s": ["a=b"], "m": [None], "text": ["-12.5"]}
    )
    pd.testing.assert_frame_equal(spreadsheet_safe(frame), frame)
