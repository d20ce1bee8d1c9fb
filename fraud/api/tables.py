"""Downloads of a scored table, under the unguessable id that its page was given."""

import csv
import io
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from fraud import scratch
from fraud.service import FraudService
from fraud.tables.desk import TableDesk
from fraud.tables.scored import ScoredTable

PATH = "/tables"
SAMPLE_PATH = "/tables/sample.csv"
_SAMPLE_ROWS = 25


def add_tables(app: FastAPI, desk: TableDesk, service: FraudService) -> None:
    """Add the routes that give tables away: a sample, a scored one as CSV and Parquet, what was refused."""

    @app.get(SAMPLE_PATH, include_in_schema=False)
    def sample() -> Response:
        """Return a table that can be scored as it is."""
        headers = {"content-disposition": 'attachment; filename="sample.csv"'}
        return Response(_sample(service), headers=headers, media_type="text/csv")

    @app.get(PATH + "/{job_id}/scored.csv", include_in_schema=False)
    def scored_csv(job_id: str) -> Response:
        """Stream the scored table as a CSV; nothing is written to disk for it."""
        table = desk.table(job_id)
        return StreamingResponse(table.csv(), headers=_headers(table, "scored", "csv"), media_type="text/csv")

    @app.get(PATH + "/{job_id}/scored.parquet", include_in_schema=False)
    def scored_parquet(job_id: str) -> Response:
        """Write the scored table as Parquet, send it, delete it."""
        table = desk.table(job_id)
        path = scratch.new_file("scored.parquet")
        table.write_parquet(path)
        return FileResponse(
            path,
            headers=_headers(table, "scored", "parquet"),
            media_type="application/vnd.apache.parquet",
            background=BackgroundTask(_delete, path),
        )

    @app.get(PATH + "/{job_id}/refused.csv", include_in_schema=False)
    def refused_csv(job_id: str) -> Response:
        """Stream the list of refused rows."""
        table = desk.table(job_id)
        headers = _headers(table, "refused", "csv")
        return StreamingResponse(table.refused_csv(), headers=headers, media_type="text/csv")


def _sample(service: FraudService) -> str:
    """Return the examples, some of which raise an alert, and a known card's past, unlabelled, as a CSV."""
    roles = service.profile.columns
    entity = next(iter(service.entities()), None)
    records = service.past_of(entity, _SAMPLE_ROWS) if entity is not None else []
    rows = [*(example["transaction"] for example in service.examples()), *records]
    known = {roles.label, roles.label_at, roles.typology}
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in known]
    sink = io.StringIO()
    writer = csv.DictWriter(sink, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.parent.rmdir()


def _headers(table: ScoredTable, what: str, ending: str) -> dict[str, str]:
    name = f"{Path(table.sheet.name).stem[:80]}-{what}.{ending}"
    return {
        "content-disposition": f"attachment; filename=\"{what}.{ending}\"; filename*=UTF-8''{quote(name)}",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
