"""`python -m fraud simulate-production`: a champion's next months, written as a dataset and its truth."""

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import Any

from fraud.errors import SettingsError
from fraud.settings import Settings


def add_production_commands(commands: Any) -> None:
    """Add `simulate-production` to the command line."""
    production = commands.add_parser(
        "simulate-production", help="play the days after the champion's data: flags, reviews, drift"
    )
    production.add_argument("--days", type=int, required=True)
    production.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new directory")
    production.add_argument("--seed", type=int, help="of the days (default: the profile's; the same world)")
    production.add_argument(
        "--event",
        action="append",
        default=[],
        metavar="KIND@DAY",
        help="new_typology, covariate_shift, season or broken_column:COLUMN=null|unit|stuck, and @DAY",
    )
    production.add_argument(
        "--hostile", type=int, default=0, metavar="N", help="hostile flags, spread over all days"
    )
    production.add_argument("--revision-per-day", action="store_true", help="commit each day, not each week")
    production.add_argument("--data", type=Path, help="a labelled table to replay instead of the simulator")
    production.set_defaults(run=_simulate_production)


def _simulate_production(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.production.dataset import DatasetWriter
    from fraud.production.people import People
    from fraud.production.run import Production
    from fraud.repositories.local import LocalRepository
    from fraud.serving.champion import Champion
    from fraud.wiring import model_registry

    if options.days < 1 or options.hostile < 0:
        raise SettingsError("--days must be at least 1 and --hostile at least 0.", code="option")
    start = perf_counter()
    scorer = Champion(model_registry(settings), settings.models.artifacts).scorer
    people = People(hostile_per_day=options.hostile / options.days)
    production = Production(_world(options, scorer), people)
    writer = DatasetWriter(LocalRepository(options.out / "dataset.git"), 1 if options.revision_per_day else 7)
    n_predictions = n_frauds = n_days = 0
    for day in production.days(options.days):
        scored = day.score(scorer)
        writer.add(scored)
        n_days += 1
        n_predictions += len(scored.ids)
        n_frauds += int(scored.day.fraud.sum())
        if n_days % 10 == 0:
            print(f"{perf_counter() - start:7.1f} s  day {n_days}: {n_predictions:,} predictions", flush=True)
    head = writer.commit()
    writer.write_truth(options.out / "truth.parquet")
    record = {
        "days": n_days,
        "seed": production.world.seed,
        "profile": production.world.profile.name,
        "events": options.event,
        "hostile_flags": production.n_hostile,
        "model_version": scorer.version.version,
        "manifest_digest": scorer.version.manifest_digest,
        "predictions": n_predictions,
        "frauds": n_frauds,
    }
    (options.out / "production.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if options.hostile > production.n_hostile:
        print(f"only {production.n_hostile} hostile flags: the attacked slice had no more true frauds")
    print(
        f"{n_predictions:,} predictions of {n_days} days, {n_frauds:,} of them frauds, in {options.out} at "
        f"revision {(head or 'none')[:12]}; the truth is in truth.parquet"
    )


def _world(options: argparse.Namespace, scorer: Any) -> Any:
    from datetime import datetime

    from fraud.data.sources import load_transactions
    from fraud.production.injections import parse_injection
    from fraud.production.replay import ReplayedWorld
    from fraud.production.world import SimulatedWorld

    profile = scorer.bundle.profile
    injections = [parse_injection(text) for text in options.event]
    if options.data is None:
        return SimulatedWorld(profile, seed=options.seed, injections=injections)
    table, _ = load_transactions(profile, options.data)
    last_at = scorer.bundle.manifest["windows"]["test"].get("last_at")
    from_ms = 0 if last_at is None else int(datetime.fromisoformat(last_at).timestamp() * 1000) + 1
    seed = 7 if options.seed is None else options.seed
    return ReplayedWorld(profile, table, from_ms, seed=seed, injections=injections)
