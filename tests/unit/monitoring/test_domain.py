import json
from dataclasses import replace

import numpy as np

from fraud.data.profile import DAY_MS
from fraud.data.table import Coded, Transactions
from fraud.monitoring.domain import compare_stretches, first_stretch
from fraud.monitoring.observations import ModelAnswers, Observations
from tests.unit.monitoring.tables import profile, table, with_numbers


def stretches(seed: int, n: int = 4_000) -> tuple[Transactions, Transactions]:
    rng = np.random.default_rng(seed)
    return table(rng, n, days=(0, 14)), table(rng, n, days=(42, 49))


def test_stretches_that_are_alike_are_not_told_apart() -> None:
    reports = [compare_stretches(*stretches(seed), profile()) for seed in range(6)]
    assert [r.verdict for r in reports] == ["ok"] * 6
    assert all(r.auc is not None and abs(r.auc - 0.5) < 0.04 for r in reports)


def test_cards_with_traits_of_their_own_are_not_recognised() -> None:
    rng = np.random.default_rng(1)
    traits = rng.normal(size=300) * 40 + 200

    def marked(rows: Transactions) -> Transactions:
        return with_numbers(rows, age=traits[rows.texts["card"].codes])

    # Other cards are active in the second stretch more often, as in any log.
    then, now = (
        marked(table(np.random.default_rng(s), 4_000, days=d, n_cards=300))
        for s, d in ((2, (0, 14)), (3, (42, 49)))
    )
    favoured = rng.gamma(1.0, 1.0, 300)
    chance = favoured[now.texts["card"].codes]
    now = now.take(np.sort(rng.choice(len(now), 3_000, replace=False, p=chance / chance.sum())))
    report = compare_stretches(then, now, profile())
    assert report.verdict == "ok"


def test_a_change_of_how_columns_go_together_is_found_with_its_columns() -> None:
    then, now = stretches(4, 6_000)
    order = np.argsort(np.argsort(now.numbers["age"]))
    now = with_numbers(now, amount=np.sort(now.numbers["amount"])[order])  # the same amounts, now by age
    report = compare_stretches(then, now, profile())
    assert report.verdict == "drift"
    assert report.auc is not None
    assert report.auc > 0.7
    assert {driver.column for driver in report.drivers} == {"amount", "age"}
    json.dumps(report.to_json(), allow_nan=False)


def test_another_hour_of_day_is_no_drift() -> None:
    def nightly(rows: Transactions) -> Transactions:
        night = (rows.times() % DAY_MS) < 6 * 3_600_000
        return with_numbers(rows, amount=rows.numbers["amount"] * np.where(night, 5, 1))

    rng = np.random.default_rng(5)
    then = nightly(table(rng, 12_000, days=(0, 14)))
    now = nightly(table(rng, 3_000, days=(42, 49), hours=(0, 8)))
    assert compare_stretches(then, now, profile()).verdict == "ok"


def test_too_little_to_compare_is_no_evidence() -> None:
    then, now = stretches(6)
    none = then.take(np.arange(0))
    assert compare_stretches(none, now, profile()).reasons[0].code == "no_earlier_stretch"
    assert compare_stretches(then, none, profile()).reasons[0].code == "no_rows"
    few = compare_stretches(then.take(np.arange(100)), now, profile())
    assert few.verdict == "insufficient evidence"
    one_day = table(np.random.default_rng(7), 3_000, days=(42, 43))
    assert compare_stretches(then, one_day, profile()).reasons[0].code == "too_few_days"
    one_card = replace(now, texts={**now.texts, "card": Coded(np.zeros(len(now), np.int32), ("K0",))})
    other = replace(then, texts={**then.texts, "card": Coded(np.zeros(len(then), np.int32), ("K0",))})
    assert compare_stretches(other, one_card, profile()).reasons[0].code == "too_few_entities"


def test_the_first_stretch_of_a_version_ends_before_the_window() -> None:
    rows = table(np.random.default_rng(8), 1_000, days=(0, 40))
    times = rows.times()
    answers = ModelAnswers(np.full(1_000, 0.1), np.zeros(1_000, bool))
    unknown = np.full(1_000, np.nan)
    no = np.zeros(1_000, bool)
    version = Coded((times >= times[0] + 10 * DAY_MS).astype(np.int32), ("1.0.0", "1.0.1"))
    log = Observations(
        times, version, {"a": answers}, unknown, no.astype(np.int8), no, no, unknown, unknown, rows
    )
    new = first_stretch(log, "1.0.1", int(times[-1]))
    assert new.predicted_ms[0] >= times[0] + 10 * DAY_MS
    assert new.predicted_ms[-1] - new.predicted_ms[0] <= 14 * DAY_MS
    short = first_stretch(log, "1.0.1", int(times[0]) + 12 * DAY_MS)
    assert short.predicted_ms[-1] < times[0] + 12 * DAY_MS
    assert len(first_stretch(log, "9.9.9", int(times[-1]))) == 0
