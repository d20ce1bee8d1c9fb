"""Production as events: in time, valid, the same for the same seed; and what people leave out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud.cli import main
from fraud.data.profile import DAY_MS, load_profile
from fraud.data.simulate import SimulationConfig, simulate
from fraud.data.validate import validate_transaction
from fraud.errors import SettingsError
from fraud.feedback.audit import AuditPolicy, audited_f1
from fraud.feedback.dataset import pull, read_events
from fraud.feedback.events import FlagEvent, PredictionEvent, ReviewEvent, is_kept
from fraud.feedback.store import FeedbackStore
from fraud.feedback.trust import TrustPolicy, decide
from fraud.feedback.upkeep import verify
from fraud.production.dataset import DatasetWriter
from fraud.production.people import People
from fraud.production.run import Production, ScoredDay
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add
from fraud.reviewing import ReviewQueue
from fraud.settings import FeedbackSettings, ModelSettings, Settings

N_DAYS = 8
HOSTILE = People(hostile_per_day=4.0, hostile_sources=2, hostile_from=2)


@pytest.fixture(scope="session")
def played(make_world, scorer) -> tuple[Production, Sequence[ScoredDay]]:
    production = Production(make_world(), HOSTILE, audit=AuditPolicy(share=0.2))
    return production, [day.score(scorer) for day in production.days(N_DAYS)]


@pytest.fixture(scope="session")
def days(played):
    return played[1]


@pytest.fixture(scope="session")
def repository(days, tmp_path_factory):
    repository = LocalRepository(tmp_path_factory.mktemp("simulated") / "dataset.git")
    writer = DatasetWriter(repository, days_per_commit=3)
    for day in days:
        writer.add(day)
    writer.commit()
    return repository


@pytest.fixture(scope="session")
def events(repository):
    found, bad = read_events(repository, repository.head())
    assert not bad
    return found


def flags(events):
    return [event for event in events if isinstance(event, FlagEvent)]


def truth_of(days):
    return pd.concat([day.truth() for day in days]).set_index("prediction_id")


def test_the_dataset_is_verified_and_pulled_without_one_bad_row(repository, events, days, tmp_path):
    assert verify(repository, []).n_problems == 0
    report = pull(repository, repository.head(), tmp_path / "out")
    assert (report.n_events, report.n_quarantined) == (len(events), 0)
    n_predictions = sum(len(day.ids) for day in days)
    assert sum(isinstance(e, PredictionEvent) for e in events) == n_predictions
    assert pd.read_parquet(tmp_path / "out" / "events.parquet").shape[0] == len(events)


def test_days_come_as_commits_in_order(repository, days):
    history = [c for c in reversed(repository.history())]
    assert len(history) == 3 and "Node: simulated" in history[0].message
    assert sum(path.startswith("data/") for path in repository.files(history[0].revision)) == 3


def test_a_transaction_is_kept_in_the_form_in_which_the_demo_keeps_it(days, small_profile):
    day = days[0]
    kept = [row for row in day.rows if is_kept(row)]
    assert len(kept) == len(day.ids)
    for row in kept[:20]:
        sent = json.loads(row["transaction_json"])
        moment = pd.Timestamp(row["recorded_ms"], unit="ms", tz="UTC").to_pydatetime()
        assert validate_transaction(small_profile, sent, moment) == sent


def test_every_event_is_recorded_on_its_day(days):
    for scored in days:
        start = scored.day.start_ms
        own = [row for row in scored.rows if row["event"] != "prediction" or is_kept(row)]  # no copies
        assert all(start <= row["recorded_ms"] < start + DAY_MS for row in own)
        assert {row["event"] for row in own} >= {"prediction", "flag"}


def test_a_flag_comes_after_its_prediction_and_an_unasked_fraud_after_its_report(events, days, make_world):
    known_at, asked = {}, {}
    for scored in days:
        known_at |= dict(zip(scored.ids, scored.day.seen.known_at_ms.tolist(), strict=True))
        asked |= dict(zip(scored.ids, scored.asked.tolist(), strict=True))
    shown = {e.event_id: e for e in events if isinstance(e, PredictionEvent)}
    claims = 0
    for event in flags(events):
        name = event.flag.prediction_id
        assert event.recorded_at > shown[name].recorded_at
        if event.flag.label == "fraud" and not asked[name]:
            claims += 1
            honest_slip = known_at[name] > event.recorded_at.timestamp() * 1000
            assert not honest_slip or event.flag.verdict == "wrong"
    assert claims > 0


def test_people_who_were_not_asked_speak_of_mistakes(events, days):
    shown = {e.event_id: e for e in events if isinstance(e, PredictionEvent)}
    hostile = {f"{f.event_id}" for f in flags(events) if is_hostile(f, days)}
    volunteered = [f for f in flags(events) if not shown[f.flag.prediction_id].audit_asked]
    honest = [f for f in volunteered if f.event_id not in hostile]
    missing = np.mean([f.flag.label == "fraud" for f in honest])
    all_labels = truth_of(days).label
    assert missing > 3 * (all_labels == "fraud").mean(), "frauds are over-represented among the flags"


def test_only_who_answers_the_lot_says_so_and_how_often_has_nothing_to_do_with_the_label(events, days):
    shown = {e.event_id: e for e in events if isinstance(e, PredictionEvent)}
    answers = {f.flag.prediction_id for f in flags(events) if f.flag.answers_audit}
    asked = [p for d in days[:-4] for p, drawn in zip(d.ids, d.asked, strict=True) if drawn]
    assert all(shown[name].audit_asked for name in answers)
    assert {f.flag.prediction_id for f in flags(events)} & set(asked) > answers & set(asked)
    truth = truth_of(days).label
    rates = [
        np.mean([name in answers for name in asked if truth[name] == label])
        for label in ("fraud", "legitimate")
    ]
    assert abs(rates[0] - rates[1]) < 0.25


def is_hostile(event, days):
    counted = truth_of(days).loc[event.flag.prediction_id]
    return counted.label == "fraud" and event.flag.label == "legitimate"


def test_hostile_flags_call_frauds_legitimate_from_few_sources_and_from_their_day_on(played, events):
    production, days = played
    truth = truth_of(days)
    by_reporter: dict[str, int] = {}
    for event in flags(events):
        row = truth.loc[event.flag.prediction_id]
        if event.flag.label == "legitimate" and row.label == "fraud":
            by_reporter[event.flag.reporter] = by_reporter.get(event.flag.reporter, 0) + 1
            shown = next(d for d in days if event.flag.prediction_id in d.ids)
            assert shown.day.index >= HOSTILE.hostile_from
    busiest = sorted(by_reporter.values(), reverse=True)[: HOSTILE.hostile_sources]
    assert production.n_hostile >= 5 and sum(busiest) >= 0.7 * production.n_hostile


def test_the_lot_falls_as_often_as_its_chance_says(days):
    asked = np.concatenate([d.asked for d in days])
    chance = np.concatenate([d.audit_probability for d in days])
    sd = np.sqrt((chance * (1 - chance)).sum())
    assert abs(asked.sum() - chance.sum()) < 3 * sd


def test_the_weighted_f1_of_the_asked_covers_the_truth(days):
    asked = np.concatenate([d.asked for d in days])
    chance = np.concatenate([d.audit_probability for d in days])
    fraud = np.concatenate([d.day.fraud for d in days])
    alerted = np.concatenate([d.alerted["xgboost"] for d in days])
    estimate = audited_f1(fraud[asked].astype(float), alerted[asked].astype(float), chance[asked])
    truth = 2 * (fraud & alerted).sum() / (fraud.sum() + alerted.sum())
    assert estimate is not None and abs(estimate.f1 - truth) < 3 * estimate.sd


def test_reviews_are_of_flags_that_were_given_and_mostly_right(events, days):
    given = {f.event_id: f for f in flags(events)}
    reviews = [e for e in events if isinstance(e, ReviewEvent)]
    assert len(reviews) == HOSTILE.reviews_per_day * (N_DAYS - 1), "none before the first flags"
    truth = truth_of(days).label
    right = 0
    for event in reviews:
        flag = given[event.review.flag_id]
        assert flag.recorded_at < event.recorded_at
        holds = truth[flag.flag.prediction_id] == flag.flag.label
        right += event.review.finding == ("accept" if holds else "reject")
    assert right >= 0.8 * len(reviews)


def test_maintainers_take_flags_in_the_order_of_the_real_queue(make_world, scorer, tmp_path):
    production = Production(make_world(), People(reviews_per_day=5, review_unsure=0), audit=AuditPolicy(0.3))
    first, second = (day.score(scorer).rows for day in production.days(2))
    lines = [json.dumps(row).encode() + b"\n" for row in first]
    repository = LocalRepository(tmp_path / "one.git")
    repository.commit([Add("data/train-1.jsonl", b"".join(lines))], "a day", None)
    store = FeedbackStore(tmp_path / "store", repository, "n")
    queue = ReviewQueue(store, production._stake).cases(5)
    reviewed = [row["about_event_id"] for row in second if row["event"] == "review"]
    assert [case.flag.flag_id for case in queue] == reviewed and len(reviewed) == 5


def test_retraining_finds_labels_in_it(events, days):
    as_of = pd.Timestamp(days[-1].day.start_ms + 30 * DAY_MS, unit="ms", tz="UTC").to_pydatetime()
    labels = decide(events, TrustPolicy(), as_of=as_of).labels
    assert len(labels) > 20 and {label.label for label in labels} == {"fraud", "legitimate"}


def test_who_did_not_consent_is_only_there_beside_a_flag(make_world, scorer):
    production = Production(make_world(), People(consent=0.5))
    day = next(iter(production.days(1))).score(scorer)
    kept = [row for row in day.rows if is_kept(row)]
    assert 0.4 < len(kept) / len(day.ids) < 0.6


def bytes_of(folder: Path, world, scorer) -> list[bytes]:
    repository = LocalRepository(folder / "dataset.git")
    writer = DatasetWriter(repository, 1)
    for day in Production(world, HOSTILE).days(3):
        writer.add(day.score(scorer))
    head = writer.commit()
    writer.write_truth(folder / "truth.parquet")
    files = [repository.read(path, head) for path in repository.files(head)]
    return [*files, (folder / "truth.parquet").read_bytes()]


def test_one_seed_gives_the_same_bytes_and_another_gives_others(tmp_path, small_profile, make_world, scorer):
    from fraud.production.world import SimulatedWorld

    first = bytes_of(tmp_path / "a", SimulatedWorld(small_profile), scorer)
    assert bytes_of(tmp_path / "b", SimulatedWorld(small_profile), scorer) == first
    assert bytes_of(tmp_path / "c", make_world(seed=11), scorer) != first


def test_variants_meet_the_same_transactions_people_and_lots(make_world, scorer, days):
    other = Production(make_world(), HOSTILE, audit=AuditPolicy(share=0.2))
    for day, before in zip(other.days(2), days, strict=False):
        scored = day.score(scorer)
        assert day.score(scorer) is scored, "a day is played once"
        assert scored.ids == before.ids and scored.rows == before.rows


def test_a_scorer_can_change_from_day_to_day(make_world, scorer):
    import copy

    newer = copy.copy(scorer)
    newer.version = replace(scorer.version, version="1.1.0")
    production = Production(make_world())
    served = [day.score(scorer if day.index < 1 else newer) for day in production.days(2)]
    versions = [{row["model_version"] for row in day.rows if is_kept(row)} for day in served]
    assert versions == [{"1.0.0"}, {"1.1.0"}]
    assert [day.index for day in production.days(1)] == [2], "the next call goes on"


def test_a_scorer_of_another_profile_is_refused(make_world, scorer):
    import copy

    stranger = copy.copy(scorer)
    stranger.bundle = replace(scorer.bundle, profile=load_profile("ulb"))
    with pytest.raises(SettingsError, match="ulb"):
        next(iter(Production(make_world()).days(1))).score(stranger)


def test_simulated_events_never_mix_with_what_real_people_said(repository):
    with pytest.raises(SettingsError, match="new directory"):
        DatasetWriter(repository)


@pytest.fixture
def command(small_bundle, tmp_path, monkeypatch):
    settings = Settings(
        models=ModelSettings(artifacts=small_bundle, registry=tmp_path / "registry"),
        feedback=FeedbackSettings(directory=tmp_path / "out"),
    )
    monkeypatch.setattr("fraud.cli.read_settings", lambda: settings)
    return lambda *words: main([*map(str, words)])


def test_the_command_writes_a_dataset_that_the_other_commands_read(command, tmp_path, capsys):
    arguments = ["simulate-production", "--days", 3, "--out", tmp_path / "out", "--revision-per-day"]
    assert command(*arguments, "--event", "broken_column:amount=unit@2", "--hostile", 6) == 0
    assert command("feedback", "verify") == 0
    assert command("feedback", "log") == 0
    assert capsys.readouterr().out.count("Add ") == 3
    truth = pd.read_parquet(tmp_path / "out" / "truth.parquet")
    assert list(truth.columns) == ["prediction_id", "label", "typology", "day", "event"]
    assert set(truth.event[truth.day == 2]) == {"broken_column:amount=unit"}
    record = json.loads((tmp_path / "out" / "production.json").read_text())
    assert record["predictions"] == len(truth) and record["events"] == ["broken_column:amount=unit@2"]
    assert command(*arguments) == 2 and "new directory" in capsys.readouterr().err


def test_the_command_replays_a_table_after_the_test_window(command, tmp_path, small_profile, capsys):
    source = small_profile.source
    config = SimulationConfig(n_cards=SimulationConfig().cards_for(source.n_transactions, source.days))
    frame = simulate(seed=source.seed, days=10, start_day=80, config=config)
    frame.to_parquet(tmp_path / "table.parquet")
    code = command(
        "simulate-production", "--days", 5, "--out", tmp_path / "out", "--data", tmp_path / "table.parquet"
    )
    assert code == 0 and "predictions of 5 days" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(("--event", "drift@1"), "is no event"), (("--hostile", "-1"), "at least 0"),
     (("--days", "0"), "at least 1")],
)  # fmt: skip
def test_the_command_says_what_is_wrong(command, tmp_path, capsys, words, sentence):
    assert command("simulate-production", "--days", 1, "--out", tmp_path / "out", *words) == 2
    assert sentence in capsys.readouterr().err
