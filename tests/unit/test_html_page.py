"""A report opens anywhere, shows what it was given, and runs nothing that it was given."""

import re

import plotly.graph_objects as go

from fraud.html_page import Chart, Heading, Paragraph, Table, render

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'


def _page(*blocks, title="Report"):
    return render(title, "What this says", blocks, "en")


def test_hostile_texts_are_shown_and_never_run() -> None:
    figure = go.Figure(go.Bar(x=[HOSTILE], y=[1]))
    page = _page(
        Heading(HOSTILE, HOSTILE),
        Paragraph(HOSTILE, HOSTILE),
        Table(HOSTILE, [HOSTILE], [[HOSTILE]]),
        Chart(HOSTILE, HOSTILE, figure),
        title=HOSTILE,
    )
    assert "<img" not in page
    assert page.count("<script") == 2  # the figure's numbers and the drawing of it
    assert "alert(1)</script>" not in page


def test_nothing_is_loaded_from_outside() -> None:
    page = _page(Chart("Is it so?", "It is.", go.Figure(go.Bar(x=["a"], y=[1]))))
    assert not re.findall(r"<(?:link|img|iframe)|<script[^>]*\bsrc=|@import|url\(", page)
    assert len(page) < 2_500_000


def test_a_page_without_figures_is_small_and_has_no_script() -> None:
    page = _page(Table("Figures", ["model", "F1"], [["xgboost", "0.52"]]))
    assert "<script" not in page
    assert len(page) < 5_000
    assert '<td class="figure">0.52</td>' in page


def test_the_same_blocks_give_the_same_bytes() -> None:
    blocks = (Chart("Is it so?", "It is.", go.Figure(go.Bar(x=["a"], y=[1]))), Paragraph("Fine.", "ok"))
    assert _page(*blocks) == _page(*blocks)
