"""The Table tab in a real browser: a table in, answers out, and a sentence for everything that is none."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle

pytestmark = pytest.mark.browser
SIZES = [(1440, 900), (390, 844)]


def open_tab(open_page: Callable[..., Page], size: tuple[int, int] = SIZES[0], locale: str = "en-US") -> Page:
    page = open_page(locale=locale, width=size[0], height=size[1])
    page.get_by_role("tab", name="A table" if locale == "en-US" else "Uma tabela").click()
    expect(page.locator("#batch-file")).to_be_visible()
    return page


@pytest.fixture
def tab(open_page: Callable[..., Page]) -> Page:
    return open_tab(open_page)


def upload(tab: Page, path: Path) -> None:
    settle(tab)  # what a page that is still loading was given may be forgotten
    tab.locator("#batch-file input[type=file]").set_input_files(path)


def score(tab: Page, path: Path) -> None:
    upload(tab, path)
    tab.locator("#batch-score").click()
    expect(tab.locator("#batch-summary .done")).to_be_visible(timeout=60_000)


def rows(small_frame: pd.DataFrame, n: int = 60) -> pd.DataFrame:
    return small_frame.tail(n).drop(columns=["is_fraud", "reported_at", "typology"]).astype(object)


def fits(tab: Page) -> bool:
    return bool(tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("size", SIZES)
def test_a_table_is_scored_and_its_bad_rows_are_listed(
    open_page: Callable[..., Page], small_frame: pd.DataFrame, tmp_path: Path, size: tuple[int, int]
) -> None:
    tab = open_tab(open_page, size)
    table = rows(small_frame).reset_index(drop=True)
    table.loc[2, "amount"] = "much"
    table.to_csv(tmp_path / "mine.csv", index=False)
    upload(tab, tmp_path / "mine.csv")
    expect(tab.locator("#batch-about")).to_contain_text("mine.csv: 60 rows, 14 columns")
    expect(tab.locator("#batch-about")).to_contain_text("All columns were recognised")
    tab.locator("#batch-score").click()
    expect(tab.locator("#batch-summary")).to_contain_text("59 rows scored", timeout=60_000)
    expect(tab.locator("#batch-table")).to_contain_text("1 to 25 of 59")
    expect(tab.locator("#batch-refused tbody")).to_contain_text("4amountis not a number")
    assert fits(tab)
    with tab.expect_download() as download:
        tab.locator("#batch-download").click()
    assert download.value.suggested_filename == "mine-scored.csv"
    scored = pd.read_csv(download.value.path())
    assert len(scored) == 59 and scored["xgboost_probability"].between(0, 1).all()
    with tab.expect_download() as download:
        tab.locator("#batch-download-parquet").click()
    assert len(pd.read_parquet(download.value.path())) == 59


def test_rows_are_turned_filtered_and_flagged(tab: Page, small_frame: pd.DataFrame, tmp_path: Path) -> None:
    rows(small_frame).to_parquet(tmp_path / "mine.parquet")
    score(tab, tmp_path / "mine.parquet")
    tab.locator("#batch-next").click()
    expect(tab.locator("#batch-table")).to_contain_text("26 to 50 of 60")
    tab.locator("#batch-choice").get_by_label("Models differ").check()
    expect(tab.locator("#batch-table")).to_contain_text(re.compile("No row of this kind|1 to "))
    tab.locator("#batch-choice").get_by_label("All", exact=True).check()
    expect(tab.locator("#batch-table")).to_contain_text("1 to 25 of 60")
    status = tab.locator("#batch-flag-status")
    tab.locator("#batch-flag-send").click()
    expect(status.get_by_role("alert")).to_contain_text("Tick at least one row")
    tab.locator("#batch-table input").nth(0).check()
    tab.locator("#batch-table input").nth(1).check()
    tab.locator("#batch-flag").get_by_label("Legitimate", exact=True).check()
    tab.locator("#batch-flag-send").click()
    expect(status.get_by_role("alert")).to_contain_text("consent")
    tab.locator("#batch-consent input").check()
    tab.locator("#batch-flag-send").click()
    expect(status).to_contain_text("2 rows flagged", timeout=60_000)
    expect(status.locator("code")).to_have_count(2)
    expect(tab.locator("#batch-table tbody tr").first).to_contain_text("flagged")
    expect(tab.locator("#batch-consent input")).not_to_be_checked()
    tab.reload()
    tab.wait_for_selector(".decision", timeout=60_000)
    tab.get_by_role("tab", name="A table").click()
    expect(tab.locator("#batch-table tbody tr").first).to_contain_text("flagged")


def test_other_column_names_are_guessed_and_can_be_corrected(
    open_page: Callable[..., Page], small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    tab = open_tab(open_page, locale="pt-BR")
    table = rows(small_frame).rename(columns={"amount": "Valor", "card_id": "xyz"})
    table["Valor"] = table["Valor"].map(lambda v: f"{v:.2f}".replace(".", ","))
    table.to_csv(tmp_path / "meu.csv", index=False, sep=";")
    upload(tab, tmp_path / "meu.csv")
    expect(tab.locator("#batch-about")).to_contain_text("Escolha a coluna para: Cartão")
    expect(tab.locator("#batch-about")).to_contain_text("vírgula decimal")
    tab.locator("#batch-score").click()
    expect(tab.locator("#batch-progress [role=alert]")).to_contain_text("Cartão")
    tab.locator("#batch-column-card_id input").click()
    tab.get_by_role("option", name=re.compile("^xyz")).click()
    tab.locator("#batch-score").click()
    expect(tab.locator("#batch-summary")).to_contain_text("60 linhas pontuadas", timeout=60_000)
    tab.locator("#language").get_by_text("English").click()
    expect(tab.locator("#batch-summary")).to_contain_text("60 rows scored")
    expect(tab.locator("#batch-column-card_id input")).to_have_value(re.compile("^xyz"))
    expect(tab.locator("html")).to_have_attribute("lang", "en")  # it is remembered from here on
    tab.reload()
    tab.get_by_role("tab", name="A table").click()
    expect(tab.locator("#batch-summary")).to_contain_text("60 rows scored")
    expect(tab.locator("#batch-column-card_id input")).to_have_value(re.compile("^xyz"))
    tab.locator("#batch-forget").click()
    expect(tab.locator("#batch-opened")).to_be_hidden()
    expect(tab.locator("#batch-summary")).to_be_hidden()


def test_a_large_table_shows_its_progress_and_stops(
    tab: Page, small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    # So many that it takes seconds: 200,000 rows are over before a browser has looked twice.
    table = pd.concat([rows(small_frame, 40_000)] * 20, ignore_index=True)
    table["transaction_id"] = range(len(table))
    table.to_parquet(tmp_path / "large.parquet")
    upload(tab, tmp_path / "large.parquet")
    tab.locator("#batch-score").click()
    expect(tab.locator("#batch-progress [role=progressbar]")).to_be_visible(timeout=60_000)
    expect(tab.locator("#batch-progress")).to_contain_text("rows per second", timeout=60_000)
    # Not click(): it waits until nothing on the page moves, which may be after the last row.
    tab.locator("#batch-cancel").dispatch_event("click")
    expect(tab.locator("#batch-progress")).to_contain_text("Stopped", timeout=60_000)
    expect(tab.locator("#batch-score")).to_be_visible()
    expect(tab.locator("#batch-summary")).to_be_hidden()


def test_a_reload_in_the_middle_loses_nothing(tab: Page, small_frame: pd.DataFrame, tmp_path: Path) -> None:
    rows(small_frame).to_csv(tmp_path / "mine.csv", index=False)
    score(tab, tmp_path / "mine.csv")
    tab.reload()
    tab.wait_for_selector(".decision", timeout=60_000)
    tab.get_by_role("tab", name="A table").click()
    expect(tab.locator("#batch-summary")).to_contain_text("60 rows scored", timeout=60_000)
    tab.locator("#batch-forget").click()
    expect(tab.locator("#batch-summary")).to_be_hidden()
    tab.reload()
    tab.wait_for_selector(".decision", timeout=60_000)
    tab.get_by_role("tab", name="A table").click()
    expect(tab.locator("#batch-file")).to_be_visible()
    expect(tab.locator("#batch-opened")).to_be_hidden()


def test_what_is_no_table_is_answered_in_a_sentence(tab: Page, tmp_path: Path) -> None:
    alert = tab.locator("#batch-problem [role=alert]")
    (tmp_path / "latin.csv").write_bytes("a,b\nSão,1\n".encode("latin-1"))
    upload(tab, tmp_path / "latin.csv")
    expect(alert).to_contain_text("line 2 is not text in UTF-8", timeout=60_000)
    (tmp_path / "nul.csv").write_bytes(b"a,b\n\0,1\n")
    upload(tab, tmp_path / "nul.csv")
    expect(alert).to_contain_text("NUL", timeout=60_000)


def test_a_file_of_another_kind_is_refused_in_the_visitors_language(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    tab = open_tab(open_page, locale="pt-BR")
    (tmp_path / "dados.zip").write_bytes(b"PK")
    upload(tab, tmp_path / "dados.zip")
    expect(tab.locator("#notice[role=alert]")).to_contain_text("Este tipo de arquivo não pode ser lido aqui")
    expect(tab.get_by_text("Invalid file type")).to_be_hidden()


def test_the_sample_file_can_be_scored_as_it_is(tab: Page) -> None:
    with tab.expect_download() as download:
        tab.locator("#batch-sample").click()
    score(tab, Path(download.value.path()).rename(Path(download.value.path()).with_suffix(".csv")))
    expect(tab.locator("#batch-refused")).to_be_hidden()
