"""`python -m fraud schema`: the REST API's contract as a file, for those who generate clients from it."""

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fraud.settings import Settings


def add_schema_command(commands: Any) -> None:
    """Add `schema`."""
    schema = commands.add_parser("schema", help="write the REST API's OpenAPI document")
    schema.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of openapi.json")
    schema.set_defaults(run=_schema)


def _schema(options: argparse.Namespace, settings: Settings) -> None:
    from fastapi import FastAPI

    from fraud.api import build_api
    from fraud.durable import write_text
    from fraud.wiring import build_service

    @asynccontextmanager
    async def nothing(_: FastAPI) -> AsyncIterator[None]:
        yield

    service = build_service(settings)
    try:
        document = build_api(service, nothing, lambda: True, protection=settings.api).openapi()
    finally:
        service.close()
    path = options.out / "openapi.json"
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path}: {len(document['paths'])} routes")
