"""The options and the command that say which flags a retraining believes."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud.settings import Settings


def add_quarantine(parser: argparse.ArgumentParser) -> None:
    """Add `--quarantine-days`."""
    parser.add_argument(
        "--quarantine-days",
        type=float,
        metavar="DAYS",
        help="age from which a flag is used without a review (default: FRAUD_QUARANTINE_DAYS; else 0 for a "
        "dataset on this disk, and the profile's label delay where strangers flag)",
    )


def add_why(actions: Any) -> None:
    """Add `feedback why`."""
    why = actions.add_parser("why", help="say why a flag counts in the next retraining, and how much")
    why.add_argument("flag", metavar="RECEIPT", help="a flag's receipt, which is its id")
    why.add_argument("--revision", help="dataset revision: sha or tag (default: the newest)")
    why.add_argument("--data", type=Path, help="the base table (default: the profile's simulator)")
    add_quarantine(why)
    why.set_defaults(run=_why)


def trust_policy(options: argparse.Namespace, settings: Settings) -> Any:
    """Return the policy with the quarantine that was asked for; None for the profile's own."""
    from fraud.feedback.trust import TrustPolicy

    days = options.quarantine_days
    days = settings.feedback.quarantine_days if days is None else days
    return None if days is None else TrustPolicy(quarantine_days=days)


def _why(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.data.sources import load_transactions
    from fraud.retraining.why import why
    from fraud.wiring import dataset_repository, model_registry

    reasons = why(
        options.flag,
        registry=model_registry(settings),
        artifacts=settings.models.artifacts,
        dataset=dataset_repository(settings),
        revision=options.revision,
        base=lambda profile: load_transactions(profile, options.data),
        now=datetime.now(UTC),
        trust=trust_policy(options, settings),
    )
    print(options.flag, *reasons, sep="\n  ")
