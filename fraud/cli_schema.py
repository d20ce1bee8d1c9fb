"""`python -m fraud schema`: the contracts as files, to generate clients from and to check messages by."""

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fraud.settings import Settings


def add_schema_command(commands: Any) -> None:
    """Add `schema`."""
    schema = commands.add_parser("schema", help="write the OpenAPI document and the JSON Schemas")
    schema.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the files")
    schema.set_defaults(run=_schema)


def _schema(options: argparse.Namespace, settings: Settings) -> None:
    from fastapi import FastAPI

    from fraud.api import build_api
    from fraud.data.contract import transaction_schema
    from fraud.durable import write_text
    from fraud.webhooks.messages import event_schema
    from fraud.wiring import build_service

    @asynccontextmanager
    async def nothing(_: FastAPI) -> AsyncIterator[None]:
        yield

    service = build_service(settings)
    try:
        document = build_api(service, nothing, lambda: True, protection=settings.api).openapi()
    finally:
        service.close()
    contracts = {
        "openapi.json": document,
        "transaction.schema.json": transaction_schema(service.profile),
        "webhook.schema.json": event_schema(),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, contract in contracts.items():
        write_text(options.out / name, json.dumps(contract, indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {options.out / name}")
