"""The Table tab in a real browser: a table in, answers out, and a sentence for everything that is none."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def tab(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.get_by_role("tab", name="A table").click()
    expect(page.locator("#batch-file")).to_be_visible()
    return page


def upload(tab: Page, path: Path) -> None:
    tab.locator("#batch-file input[type=file]").set_input_files(path)


def rows(small_frame: pd.DataFrame) -> pd.DataFrame:
    return small_frame.tail(60).drop(columns=["is_fraud", "reported_at", "typology"]).astype(object)


def test_a_table_is_scored_and_its_bad_rows_are_listed(
    tab: Page, small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    table = rows(small_frame).reset_index(drop=True)
    table.loc[2, "amount"] = "much"
    table.to_csv(tmp_path / "mine.csv", index=False)
    upload(tab, tmp_path / "mine.csv")
    expect(tab.locator("#batch-summary")).to_contain_text("59 rows scored, 1 refused")
    expect(tab.locator("#batch-table")).to_contain_text("Approve")
    expect(tab.locator("#batch-refused")).to_contain_text("is not a number")
    with tab.expect_download() as download:
        tab.locator("#batch-download").click()
    scored = pd.read_csv(download.value.path())
    assert len(scored) == 59 and scored["xgboost_probability"].between(0, 1).all()


def test_a_file_with_a_missing_column_is_answered_in_a_sentence(tab: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("amount,colour\n1,red\n")
    upload(tab, tmp_path / "bad.csv")
    expect(tab.locator("#batch-summary [role=alert]")).to_contain_text('"occurred_at" is missing')


def test_the_sample_file_can_be_scored_as_it_is(tab: Page) -> None:
    with tab.expect_download() as download:
        tab.locator("#batch-sample").click()
    upload(tab, Path(download.value.path()).rename(Path(download.value.path()).with_suffix(".csv")))
    expect(tab.locator("#batch-summary")).to_contain_text("0 refused")
