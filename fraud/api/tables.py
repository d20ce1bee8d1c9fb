"""Downloads of a scored table, under the unguessable id that its page was given."""

from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from fraud import scratch
from fraud.tables.desk import TableDesk
from fraud.tables.scored import ScoredTable

PATH = "/tables"


def add_tables(app: FastAPI, desk: TableDesk) -> None:
    """Add the routes that give a scored table away: as CSV, as Parquet, and what was refused."""

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
