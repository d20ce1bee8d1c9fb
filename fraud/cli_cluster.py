"""`python -m fraud cluster` and `trainer`: a cluster on this machine, and what renews its models."""

import argparse
import threading
import time
from typing import Any

from fraud.settings import Settings

_FIRST_PORT_AFTER_WEB = 10
_QUIET_S = 30.0
"""The least pause between two rounds, however often the dataset moves."""


def add_cluster_commands(commands: Any) -> None:
    """Add `cluster` and `trainer`."""
    cluster = commands.add_parser("cluster", help="run the demo, prediction nodes and a trainer, on loopback")
    cluster.add_argument("--nodes", type=int, default=2, metavar="N", help="prediction nodes (default: 2)")
    cluster.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="see `trainer`")
    cluster.set_defaults(run=_cluster)

    trainer = commands.add_parser("trainer", help="retrain and promote at intervals, until interrupted")
    trainer.add_argument(
        "--every", type=float, default=3_600.0, metavar="SECONDS", help="pause after a run (default: 3600)"
    )
    trainer.add_argument(
        "--listen",
        type=int,
        metavar="PORT",
        help="take the Hub's webhook of the dataset here: it ends a pause",
    )
    trainer.set_defaults(run=_trainer)


def _cluster(options: argparse.Namespace, settings: Settings) -> int:
    from fraud.cluster import plan_cluster, run_cluster

    port = settings.server.port
    ports = [port + _FIRST_PORT_AFTER_WEB + i for i in range(options.nodes)]
    home = settings.nodes.directory / "cluster"
    cluster = plan_cluster(home, port, ports, retrain_seconds=options.every)
    for member in (cluster.web, *cluster.nodes):
        print(f"{member.name:8} {member.url}", flush=True)
    print("trainer  retrains once there are labels; Ctrl+C ends all of them", flush=True)
    ended = run_cluster(cluster)
    print("all have ended, as asked" if ended is None else f"{ended} has ended, and so have the others")
    return 0 if ended is None else 2


def _trainer(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.cli import main

    moved = None if options.listen is None else _listen(options.listen, settings)
    while True:
        # Each command says in one sentence what came of it, and the next round is the answer to any error.
        main(["retrain"] if settings.releases.automatic is False else ["retrain", "--promote"])
        main(["webhooks", "send-pending"])
        _pause(options.every, moved)


def _pause(seconds: float, moved: threading.Event | None) -> None:
    """Wait; less long once the dataset moved."""
    if moved is None:
        return time.sleep(seconds)
    time.sleep(min(seconds, _QUIET_S))
    moved.wait(max(0.0, seconds - _QUIET_S))
    moved.clear()
    return None


def _listen(port: int, settings: Settings) -> threading.Event:
    """Serve the trainer's routes on a thread of their own; return what says that the dataset moved."""
    from dataclasses import replace

    from fraud.api.connections import serve
    from fraud.api.trainer import build_trainer_api
    from fraud.wiring import server_options

    moved = threading.Event()
    server = replace(settings.server, port=port)
    app = build_trainer_api(settings, moved.set)
    threading.Thread(target=serve, args=(app, server_options(server)), name="listen", daemon=True).start()
    print(f"trainer  http://{server.host}:{server.port}/webhooks/dataset", flush=True)
    return moved
