"""`python -m fraud monitor`: look at a window of predictions, and say how the models are doing.

Exit codes: 0 healthy, 1 an alert fires, 2 an error (one sentence on stderr), 3 insufficient evidence.
"""

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fraud.cli_scale import add_engine_options, read_by
from fraud.errors import SettingsError
from fraud.settings import Settings

if TYPE_CHECKING:
    from fraud.monitoring.alerts import Transition
    from fraud.monitoring.run import RunOutcome

EXIT_CODES: Final = {"healthy": 0, "alert": 1, "insufficient_evidence": 3}
_WINDOW = re.compile(r"(\d{1,4})(h|d)")


def add_monitor_command(commands: Any) -> None:
    """Add `monitor`."""
    monitor = commands.add_parser("monitor", help="say how the models are doing, from what was logged")
    monitor.add_argument("--window", default="7d", metavar="LENGTH", help="such as 36h or 14d (default: 7d)")
    monitor.add_argument(
        "--until", metavar="TIME", help="end of the window, ISO 8601 (default: the last full hour)"
    )
    monitor.add_argument("--revision", help="dataset revision: sha or tag (default: the newest)")
    monitor.add_argument("--out", type=Path, metavar="DIR", help="directory of the report")
    monitor.add_argument("--simulated", type=Path, metavar="DIR", help="what simulate-production wrote")
    monitor.add_argument("--language", choices=("en", "pt-BR"), default="en", help="of report.html")
    add_engine_options(monitor)
    monitor.set_defaults(run=_monitor)


def window_days(text: str) -> float:
    """Return the days in a length such as "36h" or "7d".

    Raises
    ------
    SettingsError
        It is none, or is not from an hour to a year.
    """
    match = _WINDOW.fullmatch(text)
    days = int(match[1]) / (24 if match[2] == "h" else 1) if match else 0.0
    if not 1 / 24 <= days <= 366:
        raise SettingsError(
            f"--window must be a length from 1h to 366d, such as 7d, and {text[:20]!r} is none.",
            field="--window",
        )
    return days


def end_of_window(text: str | None, now: datetime, *, simulated: bool = False) -> datetime:
    """Return when the window ends: a time that was given, or the last full hour.

    Parameters
    ----------
    simulated : the days are played, and may lie ahead of the clock

    Raises
    ------
    SettingsError
        It is no time, or one that has not come yet.
    """
    if text is None:
        return now.replace(minute=0, second=0, microsecond=0)
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--until must be a time such as 2026-08-30T18:00Z, and {text[:40]!r} is none.", field="--until"
        ) from None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)
    if until > now and not simulated:
        raise SettingsError(
            f"--until {text[:40]} has not come yet; name a time that has passed, or leave --until out.",
            field="--until",
        )
    return until.replace(microsecond=until.microsecond // 1000 * 1000)


def _monitor(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.feedback.trust import TrustPolicy
    from fraud.models.bundle import load_bundle
    from fraud.monitoring.alerts import AlertPolicy
    from fraud.monitoring.examining import MonitoringPolicy, expectation_of
    from fraud.monitoring.opinions import AnswerPolicy
    from fraud.monitoring.run import monitor
    from fraud.monitoring.segments import SegmentPolicy
    from fraud.monitoring.verdicts import EvidencePolicy
    from fraud.repositories.local import LocalRepository
    from fraud.wiring import dataset_repository, model_registry

    days = window_days(options.window)
    until = end_of_window(options.until, datetime.now(UTC), simulated=options.simulated is not None)
    champion = model_registry(settings).champion()
    bundle = load_bundle(settings.models.artifacts if champion is None else champion[1])
    own, played = settings.monitoring, options.simulated
    directory = own.directory if played is None else played / "monitoring"
    out = options.out or directory / "report"
    evidence = EvidencePolicy(answers=AnswerPolicy(error=own.answer_error))
    with read_by(options, out) as reading:
        outcome = monitor(
            expected=expectation_of(bundle),
            dataset=dataset_repository(settings)
            if played is None
            else LocalRepository(played / "dataset.git"),
            revision=options.revision,
            until=until,
            directory=directory,
            out=out,
            policy=MonitoringPolicy(
                window_days=days,
                evidence=evidence,
                segments=SegmentPolicy(evidence=evidence),
                alerts=AlertPolicy(for_days=own.alert_for_days, keep_firing_days=own.alert_keep_days),
            ),
            # A label that is only looked at need not ripen as one that is trained on does.
            trust=TrustPolicy(quarantine_days=0),
            language=options.language,
            simulated=played is not None,
            notify=lambda transitions: _tell(transitions, settings) if played is None else None,
            reading=reading,
        )
    _print(outcome, bundle.profile, options.language)
    return EXIT_CODES[outcome.state]


def _tell(transitions: Sequence["Transition"], settings: Settings) -> None:
    """Leave a message for every alert that began or ceased to fire; the outbox sends it, now or later."""
    from fraud.wiring import webhook_outbox, webhook_sender

    if not transitions:
        return
    outbox = webhook_outbox(settings)
    if not outbox.endpoints:
        return
    for transition in transitions:
        alert = transition.alert
        data = {
            "alert": alert.key,
            "severity": str(alert.severity),
            "reason": alert.reason,
            "since": _moment(alert.since_ms),
            "window_end": _moment(transition.at_ms),
            "cause": transition.cause,
        }
        outbox.enqueue("alert.firing" if transition.firing else "alert.resolved", data, datetime.now(UTC))
    webhook_sender(settings, outbox).drain()


def _moment(milliseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).isoformat()


def _print(outcome: "RunOutcome", profile: Any, language: str) -> None:
    from fraud.models.report import MODEL_TITLES
    from fraud.monitoring.alerts import alerts_from_json
    from fraud.monitoring.words import alert_line, headline, opinions_lines, reason, say, segments_line

    alerts = alerts_from_json(outcome.report["alerts"]).values()
    print(f"{say(outcome.state, language)}: {headline(outcome.state, alerts, language)}")
    for alert in [a for a in alerts if not a.key.startswith("segment:")]:
        print(f"  {alert_line(alert, profile, language)}")
    n_segments = sum(alert.key.startswith("segment:") for alert in alerts)
    if n_segments:
        print(f"  {segments_line(n_segments, language)}")
    for name, model in outcome.report["models"].items():
        if f"f1:{name}" not in {alert.key for alert in alerts}:
            for found in model["f1"]["reasons"]:
                print(f"  {MODEL_TITLES[name]}: {reason(found['code'], found['params'], language)}")
        for line in opinions_lines(model.get("opinions"), language):
            print(f"  {MODEL_TITLES[name]}: {line}")
    for found in outcome.report["drift"]["reasons"]:
        print(f"  {reason(found['code'], found['params'], language)}")
    print(
        say("report_repeated" if outcome.repeated else "report_written", language, where=outcome.written_to)
    )
