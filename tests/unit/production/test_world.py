"""The world goes on unchanged, until what is injected changes it, from its day on and not before."""

from datetime import date

import numpy as np
import pytest
import xgboost
from scipy import stats

from fraud.data.profile import DAY_MS, load_profile
from fraud.data.simulate import SimulationConfig, simulate
from fraud.data.simulate.emerging import FAKE_SHOP
from fraud.data.table import concatenate, transactions_from_frame
from fraud.errors import SettingsError
from fraud.features.history import History
from fraud.production.injections import SEASON_DAYS, Injection, parse_injection, season_shape, strength
from fraud.production.replay import ReplayedWorld
from fraud.production.world import SimulatedWorld, known_labels, ordinary_day

SAME = 0.01
"""A test of "nothing changed" fails below this p-value; the seed is fixed, so it always or never does."""


def table_from(profile, first, n_days):
    source = profile.source
    config = SimulationConfig(n_cards=SimulationConfig().cards_for(source.n_transactions, source.days))
    frame = simulate(seed=source.seed, days=n_days, start_day=first, config=config)
    return transactions_from_frame(frame, profile)


def equal(left, right):
    return (
        left.ids.tolist() == right.ids.tolist()
        and np.array_equal(left.times(), right.times())
        and all(np.array_equal(left.numbers[n], right.numbers[n], equal_nan=True) for n in left.numbers)
        and all(left.texts[n].texts() == right.texts[n].texts() for n in left.texts)
    )


def test_without_events_the_days_are_those_that_the_simulator_would_have_written(make_world, small_profile):
    world = make_world()
    wanted = table_from(small_profile, small_profile.source.days, 4)
    found = concatenate([world.day(i).seen for i in range(4)])
    assert equal(found, wanted)
    assert np.array_equal(found.labels, wanted.labels)
    assert np.array_equal(found.known_at_ms, wanted.known_at_ms)


def test_features_from_what_is_remembered_equal_those_from_the_whole_past(make_world, small_profile, scorer):
    world = make_world()
    n_days = small_profile.source.days
    whole = table_from(small_profile, 0, n_days + 25)
    history = History.of(whole, small_profile)
    for index in (0, 11, 24):
        day = world.day(index)
        remembered = scorer.pipeline.transform(day.seen, day.history)
        np.testing.assert_array_equal(remembered, scorer.pipeline.transform(day.seen, history))
    with pytest.raises(ValueError, match="own day"):
        scorer.pipeline.transform(world.day(1).seen, world.day(0).history)


def f1(played, days):
    chosen = np.isin(played.day, days)
    hits = (played.fraud & played.alerted)[chosen].sum()
    return 2 * hits / max(1, (played.fraud[chosen].sum() + played.alerted[chosen].sum()))


def recall(played, days):
    return played.alerted[played.fraud & np.isin(played.day, days)].mean()


def p_of(measure, played, split, n_days, rounds=400):
    """Return how often a random division of the days differs in a measure as before and after do."""
    rng = np.random.default_rng(0)
    gap = abs(measure(played, range(split)) - measure(played, range(split, n_days)))
    orders = [rng.permutation(n_days) for _ in range(rounds)]
    wide = sum(abs(measure(played, o[:split]) - measure(played, o[split:])) >= gap for o in orders)
    return (1 + wide) / (rounds + 1)


def p_of_scores(played, split):
    before, after = played.score[played.day < split], played.score[played.day >= split]
    return stats.ks_2samp(before, after).pvalue


def test_without_events_neither_scores_nor_f1_drift(make_world, play):
    played = play(make_world(), 40)
    assert p_of_scores(played, 20) > SAME
    assert p_of(f1, played, 20, 40) > SAME
    assert p_of(recall, played, 20, 40) > SAME


def test_a_new_typology_is_missed_from_its_day_on(make_world, play):
    played = play(make_world("new_typology@20x2"), 40)
    assert p_of(recall, played, 20, 40) < SAME
    assert recall(played, range(20, 40)) < recall(played, range(20))


def test_a_covariate_shift_moves_the_scores_from_its_day_on(make_world, play):
    assert p_of_scores(play(make_world("covariate_shift@20"), 40), 20) < SAME


@pytest.mark.parametrize(
    "event",
    ["new_typology@3", "covariate_shift@3", "broken_column:amount=unit@3", "broken_column:category=null@3",
     "season@3"],
)  # fmt: skip
def test_an_event_changes_nothing_before_its_day(make_world, event):
    plain, changed = make_world(), make_world(event)
    for index in range(3):
        assert equal(plain.day(index).seen, changed.day(index).seen)
        assert set(changed.day(index).event) == {""}
    assert not equal(plain.day(4).seen, changed.day(4).seen)
    assert parse_injection(event).name in set(changed.day(4).event)


def test_a_new_typology_is_added_to_a_day_that_is_else_the_same(make_world):
    plain, changed = make_world().day(4), make_world("new_typology@3").day(4)
    new = changed.typology == FAKE_SHOP
    assert new.any() and changed.fraud[new].all()
    assert np.array_equal(changed.seen.times()[~new], plain.seen.times())
    assert np.array_equal(changed.seen.numbers["amount"][~new], plain.seen.numbers["amount"])
    assert set(changed.event[new]) == {"new_typology"} and set(changed.event[~new]) == {""}


def test_the_new_typology_is_missed_by_the_champion_and_found_by_who_has_learned_it(make_world, play):
    world = make_world("new_typology@0")
    played = play(world, 40)
    new = played.typology == FAKE_SHOP
    early = played.day < 28
    assert played.alerted[new].mean() < 0.35
    known = ~np.isin(played.typology, ["none", FAKE_SHOP])
    assert played.alerted[known].mean() > 0.5
    learned = xgboost.XGBClassifier(n_estimators=60, max_depth=4, learning_rate=0.1, n_jobs=1)
    learned.fit(played.features[early], played.fraud[early])
    score = learned.predict_proba(played.features[~early])[:, 1]
    n_alerts = int(played.alerted[~early].sum())
    found = score >= np.sort(score)[-n_alerts]
    assert found[new[~early]].mean() > played.alerted[new & ~early].mean() + 0.3


def test_a_wrong_unit_multiplies_the_amount_and_nothing_else(make_world):
    plain, changed = make_world().day(3), make_world("broken_column:amount=unit@3").day(3)
    np.testing.assert_allclose(changed.seen.numbers["amount"], 100 * plain.seen.numbers["amount"])
    assert changed.seen.texts["category"].texts() == plain.seen.texts["category"].texts()
    assert np.array_equal(changed.fraud, plain.fraud)


@pytest.mark.parametrize("column", ["category", "cardholder_age"])
def test_a_column_of_nulls_loses_its_values_in_the_share_that_was_asked_for(make_world, column):
    changed = make_world(f"broken_column:{column}=null@0x0.4").day(0)
    seen = changed.seen
    lost = np.isnan(seen.numbers[column]) if column in seen.numbers else seen.texts[column].codes < 0
    assert abs(lost.mean() - 0.4) < 0.08
    assert np.array_equal(changed.event != "", lost)


@pytest.mark.parametrize(("column", "default"), [("category", "grocery"), ("amount", 42.5)])
def test_a_stuck_column_says_the_same_of_everything_and_breaks_no_rule(make_world, column, default):
    seen = make_world(f"broken_column:{column}=stuck@0").day(0).seen
    values = seen.numbers[column].tolist() if column in seen.numbers else seen.texts[column].texts()
    assert set(values) == {default}


def pooled(world, days):
    seen = [world.day(i) for i in days]
    online = np.concatenate([np.array(d.seen.texts["channel"].texts()) for d in seen]) == "online"
    kind = np.concatenate([np.array(d.seen.texts["category"].texts()) for d in seen])
    return online | np.isin(kind, ["electronics", "travel"]), np.concatenate([d.fraud for d in seen])


def test_a_covariate_shift_changes_the_mix_and_not_what_a_kind_of_transaction_is(make_world):
    days = range(5, 35)  # incidents that began before its day have run out
    grows, fraud = pooled(make_world(), days)
    grows_then, fraud_then = pooled(make_world("covariate_shift@0"), days)
    assert grows_then.mean() > grows.mean() + 0.12
    assert abs(len(grows_then) / len(grows) - 1) < 0.1
    for kind in (True, False):
        a, b = fraud[grows == kind], fraud_then[grows_then == kind]
        counts = [[a.sum(), (~a).sum()], [b.sum(), (~b).sum()]]
        assert stats.chi2_contingency(counts).pvalue > SAME
    assert fraud_then.mean() > fraud.mean(), "the mix has more of what is riskier"


def test_a_season_brings_more_of_everything_at_the_same_rate_of_fraud_and_ends(make_world):
    days = range(10, 30)
    _, fraud = pooled(make_world(), days)
    _, fraud_then = pooled(make_world("season@0"), days)
    assert 1.15 < len(fraud_then) / len(fraud) < 1.45
    counts = [[fraud.sum(), (~fraud).sum()], [fraud_then.sum(), (~fraud_then).sum()]]
    assert stats.chi2_contingency(counts).pvalue > SAME
    assert strength([Injection("season", 5)], "season", 5 + SEASON_DAYS) == 0
    assert season_shape(SEASON_DAYS // 2) > 0.99 and season_shape(-1) == 0


def test_events_compose(make_world):
    day = make_world("new_typology@0", "broken_column:amount=unit@1").day(1)
    new = day.typology == FAKE_SHOP
    assert set(day.event[new]) == {"new_typology+broken_column:amount=unit"}
    assert set(day.event[~new]) == {"broken_column:amount=unit"}


def test_another_seed_is_another_future_of_the_same_cards(make_world):
    one, other = make_world().day(0).seen, make_world(seed=11).day(0).seen
    assert one.times().tolist() != other.times().tolist()
    homes = [
        dict(zip(seen.texts["card_id"].texts(), seen.numbers["home_lat"].tolist(), strict=True))
        for seen in (one, other)
    ]
    shared = homes[0].keys() & homes[1].keys()
    assert len(shared) > 50 and all(homes[0][card] == homes[1][card] for card in shared)


def test_no_label_is_known_before_its_time(make_world, small_profile):
    day = make_world().day(0)
    at_midnight = known_labels(day.seen, small_profile, day.start_ms + DAY_MS)
    early = day.seen.known_at_ms <= day.start_ms + DAY_MS
    assert np.isnan(at_midnight[~early]).all()
    later = known_labels(day.seen, small_profile, day.start_ms + 200 * DAY_MS)
    assert np.array_equal(later, day.seen.labels)
    week = known_labels(day.seen, small_profile, day.start_ms + 8 * DAY_MS)
    assert not np.isnan(week).any() and week.sum() <= later.sum()


def test_december_is_played_as_an_ordinary_month():
    for day in (date(2026, 12, 25), date(2026, 12, 31), date(2027, 1, 1), date(2026, 7, 15)):
        played = ordinary_day(day)
        assert played.month in (3, 4, 5) and played.weekday() == day.weekday() and played.day == day.day
    assert ordinary_day(date(2026, 10, 3)) == date(2026, 10, 3)


@pytest.mark.parametrize(
    "text",
    ["", "drift@3", "new_typology", "new_typology@-1", "broken_column@3", "broken_column:amount=gone@3",
     "season:amount=null@3", "new_typology@3x0", "broken_column:amount=null@3x1.5", "covariate_shift@3x9"],
)  # fmt: skip
def test_an_event_that_is_none_is_refused_with_its_form(text):
    with pytest.raises(SettingsError):
        parse_injection(text)


@pytest.mark.parametrize("event", ["broken_column:colour=null@3", "broken_column:category=unit@3"])
def test_a_column_that_cannot_break_is_refused(small_profile, event):
    with pytest.raises(SettingsError, match="could break"):
        SimulatedWorld(small_profile, injections=[parse_injection(event)])


@pytest.mark.parametrize("name", ["ulb", "handbook", "sparkov"])
def test_a_profile_without_a_simulator_says_what_to_do(name):
    with pytest.raises(SettingsError, match="--data FILE"):
        SimulatedWorld(load_profile(name))


def test_a_labelled_table_is_replayed_day_by_day(small_profile):
    table = table_from(small_profile, 0, 12)
    from_ms = int(table.times()[0]) // DAY_MS * DAY_MS + 8 * DAY_MS - 1
    broken = parse_injection("broken_column:amount=unit@2")
    world = ReplayedWorld(small_profile, table, from_ms, injections=[broken])
    days = [world.day(i) for i in range(4)]
    first = np.searchsorted(table.times(), from_ms)
    assert sum(map(len, days)) == len(table) - first
    assert np.array_equal(np.concatenate([d.fraud for d in days]), table.labels[first:] == 1)
    same = np.isin(table.ids, days[1].seen.ids)
    assert np.array_equal(days[1].seen.numbers["amount"], table.numbers["amount"][same])
    assert set(days[1].event) == {""} and set(days[2].event) == {"broken_column:amount=unit"}
    with pytest.raises(IndexError):
        world.day(4)


def test_a_replay_refuses_what_it_cannot_do(small_profile):
    table = table_from(small_profile, 0, 3)
    with pytest.raises(SettingsError, match="broken columns"):
        ReplayedWorld(small_profile, table, 0, injections=[Injection("season", 1)])
    with pytest.raises(SettingsError, match="after the champion"):
        ReplayedWorld(small_profile, table, int(table.times()[-1]) + DAY_MS)
