"""`python -m fraud <command>`: everything a maintainer does, one command each.

Exit codes: 0 done or nothing to do, 1 refused by the gate, 2 an error (one sentence on stderr).
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.cli_cluster import add_cluster_commands
from fraud.cli_deploy import add_deploy_command
from fraud.cli_feedback import add_feedback_commands
from fraud.cli_figures import add_figures
from fraud.cli_monitor import add_monitor_command
from fraud.cli_node import add_node_commands
from fraud.cli_production import add_production_commands
from fraud.cli_progress import timed_progress
from fraud.cli_release import add_release_commands
from fraud.cli_retrain import add_retraining_commands
from fraud.cli_scale import add_engine_options, on_cluster, trained_on_cluster
from fraud.cli_schema import add_schema_command
from fraud.cli_score import add_score_commands
from fraud.cli_tune import add_tune
from fraud.cli_webhooks import add_webhook_commands
from fraud.errors import FraudError
from fraud.settings import Settings, read_settings

if TYPE_CHECKING:
    from fraud.models.train import Training

ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, read_settings()) or 0)
    except FraudError as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone (`... | head`)
        return 0
    except OSError as error:
        known = error.filename is not None and error.strerror is not None
        print(f"error: {f'{error.filename}: {error.strerror}' if known else error}.", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fraud", description="Train and renew the fraud demo.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_data_commands(commands)
    add_tune(commands)
    add_figures(commands)
    add_feedback_commands(commands)
    add_score_commands(commands)
    add_production_commands(commands)
    add_monitor_command(commands)
    add_retraining_commands(commands)
    add_release_commands(commands)
    add_webhook_commands(commands)
    add_node_commands(commands)
    add_cluster_commands(commands)
    add_deploy_command(commands)
    add_schema_command(commands)
    return parser


def _add_data_commands(commands: Any) -> None:
    train = commands.add_parser("train", help="train both models and write a bundle")
    train.add_argument("--profile", default="cards", help="a shipped one or a .toml file (default: cards)")
    train.add_argument("--data", type=Path, help="CSV or Parquet table (default: the profile's simulator)")
    train.add_argument("--out", type=Path, help="directory of the bundle (default: artifacts/)")
    train.add_argument("--seed", type=int, default=7)
    train.add_argument("--release", default="1.0.0", metavar="VERSION", help="version in the manifest")
    add_engine_options(train)
    train.set_defaults(run=_train)

    simulate = commands.add_parser("simulate", help="write a table of simulated card payments")
    simulate.add_argument(
        "--out", type=Path, required=True, help=".parquet or .csv file, or a directory of them to make"
    )
    simulate.add_argument("--rows", type=int, default=400_000)
    simulate.add_argument("--days", type=int, default=240)
    simulate.add_argument("--seed", type=int, default=7)
    simulate.set_defaults(run=_simulate)

    profile = commands.add_parser("profile", help="write a profile for a new table")
    actions = profile.add_subparsers(required=True, metavar="action")
    infer = actions.add_parser("infer", help="infer a profile from a CSV or Parquet table")
    infer.add_argument("file", type=Path)
    infer.add_argument("--label", required=True, metavar="COL", help="column that says which rows are fraud")
    infer.add_argument("--time", metavar="COL", help="column with the time of the transaction")
    infer.add_argument("--entity", action="append", default=[], metavar="COL", help="card, merchant ...")
    infer.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .toml file to write")
    infer.set_defaults(run=_infer)


def _train(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.models.bundle_writer import write_bundle
    from fraud.models.examples import choose_examples
    from fraud.models.signing import read_signing_key
    from fraud.models.versioning import version_key
    from fraud.wiring import model_registry

    version_key(options.release)
    progress = timed_progress()
    directory = options.out or settings.models.artifacts
    way = (
        trained_on_cluster(options, settings, directory, progress)
        if on_cluster(options)
        else nullcontext(_trained_here(options, settings, progress))
    )
    with way as (training, source):
        write_bundle(
            training,
            directory,
            version=options.release,
            data_source=source,
            examples=choose_examples(training),
            key=read_signing_key(settings.releases.signing_key),
        )
    progress(f"wrote {directory}")
    serving = model_registry(settings).aliases().champion
    if options.out is None and serving is not None:
        print(f"{serving} of the registry goes on serving; `promote {options.release}` changes that")
    if training.split.note:
        print(training.split.note)


def _trained_here(
    options: argparse.Namespace, settings: Settings, progress: Callable[[str], None]
) -> tuple["Training", dict[str, Any]]:
    from fraud.data.profile import load_profile
    from fraud.data.sources import load_transactions
    from fraud.models.train import train

    profile = load_profile(options.profile)
    transactions, source = load_transactions(profile, options.data)
    progress(f"{len(transactions):,} transactions of profile {profile.name}")
    training = train(
        transactions,
        profile,
        seed=options.seed,
        forest_engine=settings.models.forest_engine,
        progress=progress,
    )
    return training, source


def _simulate(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.data.simulate import simulate

    if not options.out.suffix:
        from fraud.data.simulate.streaming import write_simulated

        n_rows, n_files = write_simulated(options.out, options.rows, options.seed, options.days)
        print(f"wrote {n_rows:,} rows to {n_files} files in {options.out}")
        return
    frame = simulate(n_transactions=options.rows, seed=options.seed, days=options.days)
    if options.out.suffix == ".csv":
        frame.to_csv(options.out, index=False)
    else:
        frame.to_parquet(options.out, index=False)
    print(f"wrote {len(frame):,} rows to {options.out}")


def _infer(options: argparse.Namespace, settings: Settings) -> None:
    import tomli_w

    from fraud.data.infer import infer_profile
    from fraud.data.table import read_table

    frame = read_table(options.file)
    document, notes = infer_profile(frame, options.file.stem, options.label, options.time, options.entity)
    header = "".join(f"# {note}\n" for note in [f"Inferred from {options.file.name}.", *notes])
    options.out.write_text(header + "\n" + tomli_w.dumps(document), encoding="utf-8")
    print(*notes, f"wrote {options.out}", sep="\n")
