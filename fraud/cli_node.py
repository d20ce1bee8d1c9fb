"""`python -m fraud node` and `nodes`: one prediction node in this process, and what all nodes said last."""

import argparse
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fraud.settings import Settings


def add_node_commands(commands: Any) -> None:
    """Add `node` and `nodes`."""
    node = commands.add_parser("node", help="serve scores only, and follow the registry's promotions")
    node.add_argument("--host", help="where it listens (default: FRAUD_HOST, 127.0.0.1)")
    node.add_argument("--port", type=int, help="(default: FRAUD_PORT)")
    node.add_argument("--name", help="tells the nodes apart (default: FRAUD_NODE, the machine's name)")
    node.set_defaults(run=_node)

    nodes = commands.add_parser("nodes", help="list which node serves which version, as they said last")
    nodes.set_defaults(run=_nodes)


def _node(options: argparse.Namespace, settings: Settings) -> None:
    from fastapi import FastAPI

    from fraud.api.connections import serve
    from fraud.api.node import build_node_api
    from fraud.metrics import Metrics
    from fraud.wiring import server_options
    from fraud.wiring_node import build_node

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    server = replace(
        settings.server,
        host=options.host or settings.server.host,
        port=options.port or settings.server.port,
    )
    name = options.name or settings.feedback.node
    metrics = Metrics()
    node = build_node(settings, name, metrics)
    node.check()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        node.updates.start()
        yield
        node.close()

    app = build_node_api(node, lifespan, lambda: node.updates.alive, metrics, settings.api)
    served = node.model_version
    print(f"node {name} serves {served.version} at http://{server.host}:{server.port}", flush=True)
    serve(app, server_options(server))


def _nodes(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.wiring import acknowledgement_board

    entries = acknowledgement_board(settings).board()
    for entry in entries:
        state = "" if entry.state == "serving" else f"  {entry.state}: {entry.reason}"
        print(
            f"{entry.node}  {entry.version}  {entry.manifest_digest[:12]}"
            f"  since {entry.since:%Y-%m-%dT%H:%M:%SZ}  seen {entry.seen_at:%Y-%m-%dT%H:%M:%SZ}{state}"
        )
    if not entries:
        print("no node has acknowledged anything yet")
