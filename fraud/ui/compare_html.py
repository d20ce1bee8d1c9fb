"""The Compare tab's moving part as markup: what the script fills, and the tables that it fills it from."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud import formats
from fraud.models.analysis.held_out import HeldOut
from fraud.models.analysis.operating import at_released, by_alerts, by_probability
from fraud.records import MODELS
from fraud.ui.texts import text


def compare_html(held_out: HeldOut, serving: Mapping[str, float], language: str) -> str:
    """Return the slider, both models' cards, three figures' frames; `data-tables` is what they show.

    Parameters
    ----------
    serving : model -> the cut-off that this server decides by
    """
    tables = json.dumps(_tables(held_out, language), separators=(",", ":"), allow_nan=False)
    cards = "".join(_card(model, held_out, language) for model in MODELS)
    return (
        f'<div id="compare" data-tables="{html.escape(tables)}">'
        f'<section class="sheet">{_controls(held_out, serving, language)}'
        f'<div class="cards">{cards}</div>'
        f'<div class="cards"><section class="sheet">{_precision_recall(language)}</section>'
        f'<section class="sheet">{_costs(held_out, language)}</section></div>'
        f'<section class="sheet">{_agreement(language)}</section></div>'
    )


def _tables(held_out: HeldOut, language: str) -> dict[str, Any]:
    probability, alerts = by_probability(held_out), by_alerts(held_out)
    released = _released(held_out)
    n, undated = len(held_out), "" if held_out.n_days else "_undated"
    top = _cost_top(alerts, released)
    return {
        "language": language,
        "models": list(MODELS),
        "n": n,
        "n_frauds": int(held_out.labels.sum()),
        "per": held_out.n_days or n / 1_000,
        "currency": held_out.profile.currency,
        "cost_top": top,
        "probability": _columns(probability),
        "alerts": _columns(alerts),
        "released": released,
        "words": {
            "released": text("compare_released", language).lower(),
            "unit": text(f"compare_daily{undated}", language).lower(),
            "probability": text("compare_cost_x_probability", language),
            "alerts": text("compare_cost_x_alerts", language),
        },
    }


def _released(held_out: HeldOut) -> dict[str, float]:
    row = at_released(held_out).iloc[0]
    return {str(name): float(value) for name, value in row.items() if name != "value"}


def _columns(table: pd.DataFrame) -> dict[str, list[float]]:
    """Return a table's columns with as many digits as a cut-off needs to be the same again."""
    return {str(name): [float(f"{v:.9g}") for v in table[name].tolist()] for name in table}


def _cost_top(table: pd.DataFrame, released: Mapping[str, float]) -> float:
    """Return the top of the cost axis: twice what doing nothing costs would hide where the lines part."""
    costs = table[[f"{model}_cost" for model in MODELS]].to_numpy()
    top = max(float(np.max(costs[: len(costs) // 8])), *(released[f"{m}_cost"] for m in MODELS)) * 1.15
    step = 10 ** np.floor(np.log10(top)) / 2 if top > 0 else 1.0
    return float(np.ceil(top / step) * step)


def _controls(held_out: HeldOut, serving: Mapping[str, float], language: str) -> str:
    lead = text(
        "compare_lead",
        language,
        n=formats.number(len(held_out), language, 0),
        frauds=formats.number(float(held_out.labels.sum()), language, 0),
    )
    undated = "" if held_out.n_days else "_undated"
    modes = {"alerts": f"compare_by_alerts{undated}", "probability": "compare_by_probability"}
    radios = "".join(
        f'<label><input type="radio" name="compare-by" value="{mode}">{text(key, language)}</label>'
        for mode, key in modes.items()
    )
    return (
        f'<h2>{text("compare_title", language)}</h2><p class="quiet">{lead}</p>'
        f"{_policy(held_out, serving, language)}"
        f"<fieldset><legend>{text('compare_by', language)}</legend>{radios}</fieldset>"
        f'<button type="button" id="compare-released">{text("compare_released", language)}</button></section>'
        f'<section class="sheet slider" aria-label="{text("compare_slider", language)}">'
        f'<label for="compare-slider">{text("compare_slider", language)}: '
        '<output for="compare-slider" data-say="value"></output></label>'
        '<input type="range" id="compare-slider" min="0" max="1" step="1">'
        f'<p class="ends"><span>{text("compare_stricter", language)}</span>'
        f"<span>{text('compare_looser', language)}</span></p></section>"
    )


def _policy(held_out: HeldOut, serving: Mapping[str, float], language: str) -> str:
    """Return the sentence that a policy decides here; empty where the released cut-offs do."""
    if all(serving[model] == held_out.threshold(model) for model in MODELS):
        return ""
    cuts = ", ".join(
        f"{text(f'model_{m}', language)} {formats.percentage(serving[m], language)}" for m in MODELS
    )
    return f'<p class="noted">{text("compare_serving_policy", language, cuts=cuts)}</p>'


def _card(model: str, held_out: HeldOut, language: str) -> str:
    cut = text("compare_from", language, value=f'<b data-say="{model}-cut"></b>')
    heads = "".join(f'<th scope="col">{text(k, language)}</th>' for k in ("compare_alert", "compare_passed"))
    body = "".join(
        f'<tr><th scope="row">{text(key, language)}</th>{"".join(_counted(model, c) for c in cells)}</tr>'
        for key, cells in (("compare_fraud", ("hit", "miss")), ("compare_legitimate", ("false", "pass")))
    )
    undated = "" if held_out.n_days else "_undated"
    figures = "".join(
        f"<div><dt>{text(key, language)}</dt><dd><b data-say={model}-{name}></b>"
        f'<span data-say="{model}-{name}-range"></span></dd></div>'
        for name, key in (
            ("recall", "compare_recall"), ("precision", "compare_precision"), ("cost", "compare_cost"),
            ("daily", f"compare_daily{undated}"),
        )
    )  # fmt: skip
    title = html.escape(text(f"model_{model}", language))
    return (
        f'<section class="sheet model {model}" aria-label="{title}"><h3><i class="swatch {model}"></i>{title}'
        f'<span class="quiet">{cut}</span></h3><dl class="tiles">{figures}</dl>'
        f'<table class="confusion"><caption>{text("compare_caption", language)}</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def _counted(model: str, cell: str) -> str:
    name = f"{model}-{cell}"
    return (
        f'<td class="{cell}" data-cell="{name}"><b data-say="{name}"></b>'
        f'<small data-say="{name}-rate"></small></td>'
    )


def _legend(language: str) -> str:
    return "".join(f'<span><i class="swatch {m}"></i>{text(f"model_{m}", language)}</span>' for m in MODELS)


def _chart(
    name: str, language: str, title: str, axes: tuple[str, str], ticks: tuple[Sequence[str], Sequence[str]]
) -> str:
    lines = "".join(f'<polyline class="{m}" data-line="{name}-{m}" points=""/>' for m in MODELS)
    dots = "".join(f'<i class="dot {m}" data-dot="{name}-{m}"></i>' for m in MODELS)
    x, y = ("".join(f"<span>{tick}</span>" for tick in part) for part in ticks)
    return (
        f'<h3>{title}</h3><p class="marks">{_legend(language)}</p>'
        f'<p class="axis">{axes[1]}</p><div class="figure" aria-hidden="true">'
        f'<div class="y">{y}</div><div class="plot"><svg viewBox="0 0 100 100" preserveAspectRatio="none">'
        f'<path class="grid" d="M0 0H100M0 50H100M0 100H100"/>{lines}</svg>{dots}</div>'
        f'<div class="x">{x}</div></div><p class="axis end">{axes[0]}</p>'
    )


def _precision_recall(language: str) -> str:
    shares = [formats.percentage(share, language) for share in (0.0, 0.5, 1.0)]
    axes = (text("compare_pr_x", language), text("compare_pr_y", language))
    return _chart("pr", language, text("compare_pr_title", language), axes, (shares, shares[::-1]))


def _costs(held_out: HeldOut, language: str) -> str:
    top = _cost_top(by_alerts(held_out), _released(held_out))
    costs = [formats.number(top * share, language, 0) for share in (1.0, 0.5, 0.0)]
    cuts = [f'<b data-say="cost-tick-{share}"></b>' for share in ("0", "0.5", "1")]
    axes = (
        '<b data-say="cost-x"></b>',
        text("compare_cost_y", language, currency=held_out.profile.currency).strip(),
    )
    return _chart("cost", language, text("compare_cost_title", language), axes, (cuts, costs))


def _agreement(language: str) -> str:
    names = [text(f"model_{model}", language) for model in MODELS]
    rows = {
        "both": text("compare_both", language),
        "first": text("compare_only", language, model=names[0]),
        "second": text("compare_only", language, model=names[1]),
        "neither": text("compare_neither", language),
    }
    swatches = {"first": MODELS[0], "second": MODELS[1]}
    heads = "".join(
        f'<th scope="col" class="n">{text(key, language)}</th>'
        for key in ("compare_n", "compare_n_frauds", "compare_share")
    )
    body = "".join(
        f'<tr><th scope="row">{_swatch(swatches.get(name))}{words}</th>'
        + "".join(f'<td class="n" data-say="{name}-{part}"></td>' for part in ("n", "frauds", "share"))
        + "</tr>"
        for name, words in rows.items()
    )
    return (
        f'<h3>{text("compare_differ_title", language)}</h3><div class="rows"><table>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _swatch(model: str | None) -> str:
    return "" if model is None else f'<i class="swatch {model}"></i>'
