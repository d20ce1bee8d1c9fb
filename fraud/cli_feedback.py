"""`python -m fraud feedback <action>`: what maintainers do with the feedback dataset."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud.cli_trust import add_why
from fraud.settings import Settings

REFUSED = 1
_DAYS_SHOWN = 14


def add_feedback_commands(commands: Any) -> None:
    """Add `feedback` and its actions to the command line."""
    feedback = commands.add_parser("feedback", help="read and keep up the feedback dataset")
    actions = feedback.add_subparsers(required=True, metavar="action")
    log = actions.add_parser("log", help="list the dataset's revisions, newest first")
    log.add_argument("--limit", type=int, default=20)
    log.set_defaults(run=_log)
    pull = actions.add_parser("pull", help="write a revision's valid events as Parquet, bad rows apart")
    pull.add_argument("--revision", help="sha or tag (default: the newest)")
    pull.add_argument("--out", type=Path, required=True, metavar="DIR")
    pull.set_defaults(run=_pull)
    diff = actions.add_parser("diff", help="count what came and what went between two revisions")
    diff.add_argument("older", metavar="R1")
    diff.add_argument("newer", metavar="R2")
    diff.set_defaults(run=_diff)
    stats = actions.add_parser("stats", help="count events by kind, label, model version, day")
    stats.add_argument("--revision", help="sha or tag (default: the newest)")
    stats.set_defaults(run=_stats)
    verify = actions.add_parser("verify", help="check receipts and digests; exit 1 with the reasons")
    verify.set_defaults(run=_verify)
    compact = actions.add_parser("compact", help="merge small shards, write Parquet, tag the result")
    compact.add_argument("--tag", required=True)
    compact.set_defaults(run=_compact)
    add_why(actions)
    purge = actions.add_parser("purge", help="rewrite a local history without a withdrawn flag's content")
    purge.add_argument("--receipt", required=True, metavar="ID")
    purge.add_argument("--yes", action="store_true", help="do it; without this, only say what it would do")
    purge.set_defaults(run=_purge)


def _log(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.feedback.dataset import log
    from fraud.wiring import dataset_repository

    entries = log(dataset_repository(settings), options.limit)
    if not entries:
        print("the dataset has no commits yet")
    for entry in entries:
        n_submissions = entry.n_submissions
        counts = "" if n_submissions is None else f"  {n_submissions} submissions, {entry.n_rows} rows"
        print(
            f"{entry.revision[:12]}  {entry.committed_at:%Y-%m-%d %H:%M:%S}Z  {_plain(entry.message)}{counts}"
        )


def _pull(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.feedback.dataset import pull

    repository, revision = _at(settings, options.revision)
    report = pull(repository, revision, options.out)
    print(f"{report.n_events:,} events of revision {report.revision} written to {options.out}")
    if report.n_quarantined:
        print(f"{report.n_quarantined:,} bad rows are in quarantine.jsonl, each with its reason")


def _diff(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.feedback.upkeep import diff
    from fraud.wiring import dataset_repository

    repository = dataset_repository(settings)
    report = diff(repository, repository.resolve(options.older), repository.resolve(options.newer))
    for sign, kinds, labels in (
        ("+", report.added, report.labels_added),
        ("-", report.removed, report.labels_removed),
    ):
        print(f"{sign} {_counts(kinds)}" + (f"; labels of flags: {_counts(labels)}" if labels else ""))


def _stats(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.feedback.upkeep import stats

    repository, revision = _at(settings, options.revision)
    found = stats(repository, revision)
    for name, counts in (
        ("events", found.kinds),
        ("labels", found.labels),
        ("verdicts", found.verdicts),
        ("findings", found.findings),
        ("model versions", found.model_versions),
    ):
        print(f"{name:15} {_counts(counts)}")
    print(f"{'reporters':15} {found.n_reporters:,}; the busiest gave {found.largest_share:.0%} of the flags")
    if found.n_quarantined:
        print(f"{'bad rows':15} {found.n_quarantined:,}")
    for day, count in list(found.days.items())[-_DAYS_SHOWN:]:
        print(f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}      {count:,} flags")


def _verify(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.feedback.store import FeedbackStore
    from fraud.feedback.upkeep import verify
    from fraud.wiring import dataset_repository

    repository, feedback = dataset_repository(settings), settings.feedback
    store = FeedbackStore(feedback.directory / "outbox", repository, feedback.node, feedback.max_backlog)
    try:
        kept = (feedback.directory / "outbox").exists()
        report = verify(repository, store.receipts() if kept else ())
    finally:
        store.close()
    print(f"{report.n_receipts:,} committed receipts and {report.n_events:,} events checked")
    for reason in report.reasons:
        print(_plain(reason))
    if report.n_problems > len(report.reasons):
        print(f"... and {report.n_problems - len(report.reasons):,} more")
    return REFUSED if report.n_problems else 0


def _compact(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.feedback.compaction import compact
    from fraud.wiring import dataset_repository

    report = compact(dataset_repository(settings), options.tag)
    if report.n_shards:
        print(f"{report.n_shards:,} shards merged into {report.n_parts}, each with Parquet beside it")
    else:
        print("nothing to merge")
    print(f"{options.tag} is revision {report.revision}")


def _purge(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.errors import SettingsError
    from fraud.feedback.purge import plan_purge, purge
    from fraud.repositories.local import LocalRepository
    from fraud.repositories.rewriting import Past
    from fraud.wiring import dataset_repository

    repository = dataset_repository(settings)
    if not isinstance(repository, LocalRepository):
        raise SettingsError(
            "The dataset is on the Hub, whose history is purged there: see docs/withdrawal.md.",
            field="FRAUD_HUB_DATASET",
        )
    past = Past(settings.feedback.directory / "dataset.git")
    plan = plan_purge(repository, past, options.receipt)
    print(f"{plan.n_dirty:,} of {plan.n_revisions:,} revisions hold what {options.receipt} withdrew")
    print(
        "Every revision from the first of these on gets a new sha, and tags move with it. What names the old"
    )
    print(
        "ones (manifests of models, receipts, reports) names nothing any more; clones keep the content until"
    )
    print("they are deleted. The models that were trained on it are not changed: retrain.")
    if not options.yes:
        print("nothing was done; add --yes to do it")
        return REFUSED
    done = purge(past, plan)
    for old, new in done.revisions.items():
        print(f"{old} is now {new}")
    for tag in done.tags:
        print(f"tag {tag} moved")
    print(f"{len(done.revisions):,} revisions rewritten; old objects and snapshots are deleted")
    return 0


def _at(settings: Settings, revision: str | None) -> tuple[Any, str]:
    from fraud.errors import NotFound
    from fraud.wiring import dataset_repository

    repository = dataset_repository(settings)
    found = revision or repository.head()
    if found is None:
        raise NotFound("The dataset has no commits yet; nothing was flagged.", code="no_dataset")
    return repository, found


def _plain(text: str) -> str:
    """Return what a dataset says without what a terminal would obey: others can push to it."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
