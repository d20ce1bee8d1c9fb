"""`python -m fraud webhooks ...`: what was sent to the nodes, and what to do about what did not arrive.

Exit codes as in fraud.cli: 0 done or nothing to do, 1 an endpoint did not take a message, 2 an error.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fraud.settings import Settings

if TYPE_CHECKING:
    from fraud.webhooks.deliveries import Delivery, WebhookOutbox
    from fraud.webhooks.schedule import Answer

_NOT_TAKEN = 1


def add_webhook_commands(commands: Any) -> None:
    """Add `webhooks` with its actions."""
    webhooks = commands.add_parser("webhooks", help="see, send and replay messages to the nodes")
    actions = webhooks.add_subparsers(required=True, metavar="action")

    listing = actions.add_parser("list", help="list endpoints and deliveries, newest first")
    listing.add_argument("--failed", action="store_true", help="only what failed, for now or for good")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="deliveries shown (default: 50)")
    listing.set_defaults(run=_list)

    replay = actions.add_parser(
        "replay", help="send again, under the same id, from the start of the schedule"
    )
    replay.add_argument("message", nargs="?", metavar="ID", help="one message, to each of its endpoints")
    replay.add_argument("--endpoint", metavar="NAME", help="what is kept for this endpoint")
    replay.add_argument("--failed", action="store_true", help="only what was given up")
    replay.set_defaults(run=_replay, parser=replay)

    actions.add_parser("send-pending", help="send what is due and end (for cron)").set_defaults(run=_send)

    enable = actions.add_parser("enable", help="take up an endpoint that answered 410 or asked for a pause")
    enable.add_argument("name", metavar="NAME")
    enable.set_defaults(run=_enable)

    test = actions.add_parser("test", help="send an endpoint a message that says nothing")
    test.add_argument("name", metavar="NAME")
    test.set_defaults(run=_test)


def _outbox(settings: Settings) -> "WebhookOutbox":
    from fraud.wiring import webhook_outbox

    return webhook_outbox(settings)


def _list(options: argparse.Namespace, settings: Settings) -> None:
    outbox, now = _outbox(settings), datetime.now(UTC)
    disabled = outbox.disabled() if outbox.used else {}
    held = outbox.held(now) if outbox.used else {}
    rows = [("ENDPOINT", "ADDRESS", "EVENTS", "SECRETS", "STATE")]
    for endpoint in outbox.endpoints:
        state = "on"
        if endpoint.name in held:
            state = f"paused until {_time(held[endpoint.name])}"
        if endpoint.name in disabled:
            state = f"disabled {_time(disabled[endpoint.name])}"
        secrets = str(len(endpoint.secrets))
        rows.append((endpoint.name, str(endpoint.address), ",".join(endpoint.events), secrets, state))
    print(*_table(rows) if outbox.endpoints else ["no endpoint; FRAUD_WEBHOOKS names them"], sep="\n")
    deliveries = outbox.deliveries(failed=options.failed, limit=options.limit) if outbox.used else ()
    if not deliveries:
        print("nothing failed" if options.failed else "nothing was sent yet")
        return
    header = ("MESSAGE", "TYPE", "SEQUENCE", "ENDPOINT", "STATE", "TRIES", "LAST", "NEXT", "ANSWER")
    print("", *_table([header, *map(_row, deliveries)]), sep="\n")


def _row(delivery: "Delivery") -> tuple[str, ...]:
    answer = " ".join(str(part) for part in (delivery.status, delivery.problem) if part)
    return (
        delivery.message_id,
        delivery.type,
        str(delivery.sequence),
        delivery.endpoint,
        delivery.state,
        str(delivery.attempts),
        "-" if delivery.tried_at is None else _time(delivery.tried_at),
        _time(delivery.due_at) if delivery.state == "pending" else "-",
        answer or "-",
    )


def _replay(options: argparse.Namespace, settings: Settings) -> None:
    if not (options.message or options.endpoint or options.failed):
        options.parser.error("name a message, --endpoint or --failed")
    outbox = _outbox(settings)
    if outbox.used or options.message or options.endpoint:
        count = outbox.replay(
            datetime.now(UTC), message_id=options.message, endpoint=options.endpoint, failed=options.failed
        )
    else:
        count = 0
    print(f"{count} deliveries are due now" if count else "nothing to replay")
    for name in outbox.disabled() if outbox.used else ():
        print(f"{name} is disabled and gets nothing; `webhooks enable {name}` changes that")


def _send(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.webhooks.schedule import Outcome
    from fraud.wiring import webhook_sender

    outbox = _outbox(settings)
    report = webhook_sender(settings, outbox).drain()
    for attempt in report.attempts:
        print(f"{attempt.message_id}  {attempt.endpoint}  {attempt.outcome}  {_said(attempt.answer)}")
    delivered = report.count(Outcome.DELIVERED)
    print(f"{delivered} of {len(report.attempts)} delivered" if report.attempts else "nothing is due")
    return 0 if report.all_delivered else _NOT_TAKEN


def _enable(options: argparse.Namespace, settings: Settings) -> None:
    outbox = _outbox(settings)
    changed = outbox.enable(options.name)
    print(f"{options.name} is on" + ("" if changed else " already"))
    failed = sum(d.endpoint == options.name and d.state == "failed" for d in outbox.deliveries(failed=True))
    if failed:
        print(f"{failed} failed meanwhile; `webhooks replay --endpoint {options.name} --failed` sends them")


def _test(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.wiring import webhook_sender

    answer = webhook_sender(settings, _outbox(settings)).ping(options.name)
    print(f"{options.name}: {_said(answer)}")
    return 0 if answer.delivered else _NOT_TAKEN


def _said(answer: "Answer") -> str:
    return " ".join(str(part) for part in (answer.status, answer.problem) if part)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
