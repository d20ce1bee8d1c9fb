"""`python -m fraud score` and `key`: a whole file scored by both models, and a key for the REST API."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud.cli_scale import add_engine_options, on_cluster, score_on_cluster
from fraud.errors import TableError
from fraud.settings import Settings


def add_score_commands(commands: Any) -> None:
    """Add `score` and `key`."""
    score = commands.add_parser("score", help="score every row of a CSV or Parquet file with both models")
    score.add_argument("file", type=Path, help="with --engine dask also a directory of Parquet files")
    score.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the .parquet file to write, or directory"
    )
    score.add_argument(
        "--rejected", type=Path, metavar="FILE", help="a .csv file for the rows that do not fit"
    )
    add_engine_options(score)
    score.set_defaults(run=_score)

    key = commands.add_parser(
        "key", help="make a key for the REST API, and the digest that FRAUD_API_KEYS takes"
    )
    key.set_defaults(run=_key)


def _score(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.serving.champion import Champion
    from fraud.tables.to_file import score_file
    from fraud.wiring import model_registry

    if on_cluster(options):
        return score_on_cluster(options, settings)
    if options.out.suffix.lower() not in (".parquet", ".pq"):
        raise TableError(f"{options.out}: name a .parquet file.", code="file")
    if not options.file.is_file():
        raise TableError(f"{options.file}: there is no such file.", code="file_missing")
    scorer = Champion(model_registry(settings), settings.models.artifacts).scorer
    result = score_file(scorer, options.file, options.out, datetime.now(UTC), options.rejected)
    if options.rejected is None:
        for line, row, column, rule in result.first_refused:
            print(f"row {row} (line {line}): {column} {rule}")
        if result.n_refused > len(result.first_refused):
            others = result.n_refused - len(result.first_refused)
            print(f"... and {others:,} more; --rejected FILE lists all")
    print(
        f"{result.version} scored {result.n_scored:,} rows to {options.out}, "
        f"{result.n_refused:,} rows do not fit"
    )


def _key(options: argparse.Namespace, settings: Settings) -> None:
    import hashlib
    import secrets

    key = secrets.token_urlsafe(32)
    print(f"key (give it to the client; it is shown once): {key}")
    print(f"digest (add it to FRAUD_API_KEYS): {hashlib.sha256(key.encode()).hexdigest()}")
