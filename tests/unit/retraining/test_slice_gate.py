"""Slices: an equal challenger is rarely refused for any of them, an attacked one is, and cards are whole."""

import numpy as np
import pytest

from benchmarks.slice_gate import ATTACKED, once
from fraud.retraining.slice_gate import SlicePolicy, judge_slices

POLICY = SlicePolicy(n_flips=499)


ELSEWHERE = 100_000
"""Frauds outside the slice, on which nothing changed."""


def one_slice(n: int, lost: int, cards: np.ndarray | None = None, lost_elsewhere: int = 0):
    """Judge one slice of n frauds, of which the champion caught all and the challenger lost some."""
    labels, everybody = np.ones(n + ELSEWHERE), np.ones(n + ELSEWHERE, bool)
    challenger = everybody.copy()
    challenger[:lost] = False
    challenger[n : n + lost_elsewhere] = False
    owners = np.arange(n + ELSEWHERE)
    owners[:n] = np.arange(n) if cards is None else cards
    inside = np.arange(n + ELSEWHERE) < n
    found = judge_slices(labels, owners, {"s": inside}, {"xgboost": (everybody, challenger)}, SlicePolicy())
    return found.judged[0]


def test_a_loss_that_is_the_same_everywhere_is_no_slices_fault() -> None:
    assert one_slice(500, 60).harmed
    assert not one_slice(500, 60, lost_elsewhere=ELSEWHERE * 60 // 500).harmed


def test_an_equal_challenger_is_rarely_refused_for_any_slice() -> None:
    found = [once(seed, 500, 0.0, 0.5, POLICY) for seed in range(60)]
    assert min(len(f.judged) for f in found) > 10, "many looks at once"
    # 5% of 60 is 3; more than 8 has a chance of less than 1%.
    assert sum(bool(f.harmed) for f in found) <= 8


def test_an_attacked_slice_is_found_among_all_others() -> None:
    found = [once(seed, 800, 0.36, 0.5, POLICY) for seed in range(30)]
    assert sum(any(h.slice == ATTACKED for h in f.harmed) for f in found) >= 28


def test_a_loss_beyond_chance_and_margin_is_harm_and_says_how_much() -> None:
    finding = one_slice(100, 20)
    assert finding.harmed and (finding.champion, finding.challenger) == (1.0, 0.8)
    assert finding.p == pytest.approx(1 / 2000, abs=1e-3)


def test_a_sure_loss_within_the_margin_is_no_harm() -> None:
    finding = one_slice(1000, 40)
    assert finding.p < 0.01 and not finding.harmed and finding.margin == pytest.approx(0.05, abs=1e-3)


def test_a_large_loss_that_chance_explains_is_no_harm_and_the_margin_shows_it() -> None:
    finding = one_slice(50, 3)
    assert finding.champion - finding.challenger > 0.05 and not finding.harmed
    assert finding.margin > 0.06


def test_twenty_frauds_of_one_card_are_one_observation() -> None:
    cards = np.arange(100)
    cards[:20] = 0
    assert not one_slice(100, 20, cards).harmed


def test_a_quarter_of_the_recall_is_not_lost_unseen_though_few_cards_prove_nothing() -> None:
    cards = np.arange(100) // 25
    finding = one_slice(100, 25, cards)
    assert finding.p > 0.05 and finding.harmed and finding.margin <= 0.25
    assert not one_slice(100, 24, cards).harmed


def test_a_slice_with_too_few_frauds_is_counted_and_not_judged() -> None:
    everybody = np.ones(49, bool)
    found = judge_slices(
        np.ones(49), np.arange(49), {"s": everybody}, {"xgboost": (everybody, ~everybody)}, SlicePolicy()
    )
    assert found.judged == () and found.n_too_small == 1


def test_honest_customers_stopped_in_one_slice_are_harm_too() -> None:
    labels, inside = np.zeros(4000), np.arange(4000) < 2000
    champion, challenger = np.zeros(4000, bool), np.zeros(4000, bool)
    champion[:40] = champion[2000:2400] = True
    challenger[:120] = challenger[2000:2400] = True

    def judged(new: np.ndarray):
        pair = {"xgboost": (champion, new)}
        return judge_slices(labels, np.arange(4000), {"s": inside}, pair, SlicePolicy()).judged[0]

    finding = judged(challenger)
    assert (finding.metric, finding.champion, finding.challenger) == ("false_alarms", 40, 120)
    assert finding.harmed
    challenger[2000:3200] = True  # the cut-off moved: three times as many everywhere
    assert not judged(challenger).harmed


@pytest.mark.parametrize(("after", "harmed"), [(100, False), (101, True)])
def test_false_alarms_of_a_slice_may_grow_by_a_tenth_of_all_alerts(after: int, harmed: bool) -> None:
    labels, inside = np.zeros(4000), np.arange(4000) < 2000
    champion, challenger = np.zeros(4000, bool), np.zeros(4000, bool)
    champion[:40] = champion[2000:2560] = True  # 600 alerts, so sixty more in the slice
    challenger[:after] = challenger[2000:2560] = True

    def judged(policy: SlicePolicy) -> bool:
        pair = {"xgboost": (champion, challenger)}
        return judge_slices(labels, np.arange(4000), {"s": inside}, pair, policy).judged[0].harmed

    assert judged(SlicePolicy()) is harmed
    assert judged(SlicePolicy(max_false_alarm_share=0.0)), "they more than double"


def test_a_better_challenger_harms_nobody() -> None:
    labels, everybody = np.ones(100), np.ones(100, bool)
    worse = np.arange(100) >= 30
    found = judge_slices(labels, np.arange(100), {"s": everybody}, {"m": (worse, everybody)}, SlicePolicy())
    assert found.harmed == () and found.judged[0].p > 0.9


def test_the_same_evidence_gives_the_same_findings() -> None:
    assert once(3, 500, 0.2, 0.5, POLICY) == once(3, 500, 0.2, 0.5, POLICY)
