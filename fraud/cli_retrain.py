"""`python -m fraud retrain` and `gold`: renew the models if that is due, and the window that judges them.

Exit codes as in fraud.cli: 0 done or nothing to do, 1 the gate refused, 2 an error.
"""

import argparse
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.cli_progress import timed_progress
from fraud.cli_release import moved_lines
from fraud.cli_trust import add_quarantine, trust_policy
from fraud.settings import Settings

if TYPE_CHECKING:
    from fraud.releasing import Moved
    from fraud.retraining.request import Outcome, Promote, Request

_REFUSED = 1


def add_retraining_commands(commands: Any) -> None:
    """Add `retrain` and `gold`."""
    retrain = commands.add_parser(
        "retrain", help="train a challenger on base data and feedback, if it is due"
    )
    retrain.add_argument("--revision", help="dataset revision: sha or tag (default: the newest)")
    retrain.add_argument("--data", type=Path, help="the base table (default: the profile's simulator)")
    retrain.add_argument(
        "--margin",
        type=float,
        default=0.02,
        help="largest loss of AP or F1 the gate accepts; slices' margins widen with it (default: 0.02)",
    )
    add_quarantine(retrain)
    retrain.add_argument(
        "--cut-off",
        choices=("newest", "calibration"),
        default="newest",
        help="serve at cut-offs set on the base table's newest traffic, where it reaches beyond the held-out "
        "window (both versions are then judged at as many alerts), or on the calibration days before it "
        "(default: newest)",
    )
    retrain.add_argument("--force", action="store_true", help="train whether it is due or not")
    retrain.add_argument("--promote", action="store_true", help="promote the challenger if it passes")
    retrain.add_argument(
        "--language", choices=("en", "pt-BR"), default="en", help="of the gate's report (default: en)"
    )
    retrain.set_defaults(run=_retrain)

    gold = commands.add_parser("gold", help="show how often the held-out window has judged, or move it")
    gold.add_argument(
        "--test-start", type=date.fromisoformat, metavar="DATE", help="where a fresh window is to begin"
    )
    gold.add_argument("--data", type=Path, help="the base table (default: the profile's simulator)")
    gold.set_defaults(run=_gold)


def _retrain(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.durable import exclusive
    from fraud.errors import RepositoryError
    from fraud.retraining.gate_texts import sentence
    from fraud.retraining.job import retrain
    from fraud.wiring import release_desk

    desk = release_desk(settings)
    moves: list[Moved] = []

    def promote(version: str, /, *, expected: int | None) -> None:
        moves.append(desk.promote(version, who=_who(settings), expected=expected))

    lock = settings.models.registry.with_name(settings.models.registry.name + ".retrain.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(lock, timeout_s=1.0):
            outcome = retrain(
                _request(options, settings, promote if options.promote or desk.automatic else None)
            )
    except TimeoutError as error:
        raise RepositoryError("Another retraining is running; wait for it to end.", code="locked") from error
    if outcome.verdict is not None and options.language != "en":
        print(*(sentence(check, options.language) for check in outcome.verdict.reasons), sep="\n")
    english = outcome.verdict is None or options.language == "en"
    return _say(outcome, moves[-1] if moves else None, show_reasons=english)


def _who(settings: Settings) -> str:
    return f"retrain@{settings.feedback.node}"


def _say(outcome: "Outcome", moved: "Moved | None", *, show_reasons: bool) -> int:
    for reason, count in outcome.unused.items():
        print(f"not used: {count} ({reason})")
    if show_reasons:
        print(*outcome.reasons, sep="\n")
    if outcome.report is not None:
        print(f"report: {outcome.report / 'gate.html'}")
    if outcome.nothing_to_do:
        print("nothing to do")
        return 0
    if outcome.refused:
        print("refused: the champion stays")
        return _REFUSED
    print(f"recorded {outcome.version} from dataset revision {outcome.dataset_revision}")
    said = [outcome.overruled] if outcome.overruled else moved_lines(moved, str(outcome.version))
    print(*said, sep="\n")
    return 0


def _request(options: argparse.Namespace, settings: Settings, promote: "Promote | None") -> "Request":
    from fraud.data.sources import load_transactions
    from fraud.data.table import read_table
    from fraud.retraining.gate import GatePolicy
    from fraud.retraining.policy import RetrainPolicy
    from fraud.retraining.request import Request
    from fraud.retraining.situation import file_digest
    from fraud.wiring import dataset_repository, model_registry, webhook_outbox

    if options.data is not None and not options.data.is_file():
        read_table(options.data)  # says what is wrong with it
    registry = model_registry(settings)
    ours = settings.retraining
    return Request(
        registry=registry,
        artifacts=settings.models.artifacts,
        dataset=dataset_repository(settings),
        runs=settings.feedback.directory / "retraining",
        base=lambda profile: load_transactions(profile, options.data),
        now=datetime.now(UTC),
        revision=options.revision,
        base_digest=None if options.data is None else file_digest(options.data),
        keep_runs=ours.keep_runs,
        firing=_firing(settings),
        force=options.force,
        promote=promote,
        who=_who(settings),
        newest_cut_off=options.cut_off == "newest",
        forest_engine=settings.models.forest_engine,
        policy=RetrainPolicy(ours.min_labels, ours.min_frauds, ours.max_age_days),
        gate=GatePolicy.of_margin(options.margin, ours.gold_budget),
        trust=trust_policy(options, settings),
        language=options.language,
        notify=lambda event, data, at, message_id: webhook_outbox(settings).enqueue(
            event, data, at, message_id=message_id
        ),
        progress=timed_progress(),
    )


def _firing(settings: Settings) -> tuple[str, ...]:
    from fraud.monitoring.alerts import AlertState
    from fraud.monitoring.ledger import read_ledger

    alerts = read_ledger(settings.monitoring.directory).every_alert
    return tuple(a.key for a in alerts if a.state is AlertState.FIRING and not a.unknown)


def _gold(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.data.sources import load_transactions
    from fraud.models.bundle import load_bundle
    from fraud.models.split import split
    from fraud.retraining.gate import GatePolicy
    from fraud.retraining.gold import moved_profile, read_gold, refresh, window_of, write_gold
    from fraud.wiring import model_registry

    directory = settings.feedback.directory / "retraining"
    gold = read_gold(directory)
    budget = settings.retraining.gold_budget
    if options.test_start is None:
        for uses in gold.windows.values():
            shared = gold.uses(uses.window)
            print(f"{uses.window.digest[:12]}  {uses.window.words}: {shared} of {budget} uses")
        for name, day in gold.test_start.items():
            print(f"{name}: the window starts on {day}")
        if not gold.windows:
            print("no held-out window has judged yet")
        return
    serving = model_registry(settings).champion()
    champion = load_bundle(settings.models.artifacts if serving is None else serving[1])
    seed = int(champion.manifest["seed"])
    fresh = moved_profile(champion.profile, options.test_start)
    transactions, _ = load_transactions(fresh, options.data)
    # What has judged so far, and what the champion was held out from: the new window must share neither.
    past = [uses.window for uses in gold.windows.values() if uses.window.profile == fresh.name]
    current = gold.applied_to(champion.profile)
    past.append(window_of(transactions, split(transactions, current, seed).test, current))
    window = window_of(transactions, split(transactions, fresh, seed).test, fresh)
    for used in past:
        moved = refresh(gold, used, window, options.test_start, GatePolicy().min_frauds)
    write_gold(directory, moved)
    print(f"the next retraining is judged by {window.words}; 0 of {budget} uses")
