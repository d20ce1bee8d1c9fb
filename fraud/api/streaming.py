"""POST /v1/score/batch as a stream: NDJSON or Arrow in, the same out, while it is still coming in.

A row that breaks a rule is answered with its error, and the stream goes on. Memory does not grow with the
stream: what its client has not read yet waits in a file, for many clients send everything before they read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Protocol

import orjson
import pyarrow as pa
import pyarrow.ipc as ipc
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fraud.api.arrow_stream import ArrowMessages
from fraud.errors import TableError
from fraud.serving.stream import Answers, StreamScorer

MAX_LINE = 65_536
ROWS_AT_ONCE = 512
_IN_MEMORY = 1_000_000
_ON_DISK = 2_000_000_000
_PIECE = 65_536


class Pieces(Protocol):
    """Turns bytes that come in into bytes that go out."""

    media_type: str

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """Return the answers of the rows that are complete now."""

    def end(self) -> Iterator[bytes]:
        """Return what is still to be said at the end."""

    def fail(self, code: str, detail: str) -> bytes:
        """Return the last words of a stream that cannot be read any further."""


class NdjsonPieces:
    """One transaction a line in; one line of answers, or of an error, each out."""

    media_type = "application/x-ndjson"

    def __init__(self, scorer: StreamScorer, clock: Callable[[], datetime]) -> None:
        self._scorer = scorer
        self._clock = clock
        self._rest = b""
        self._skipping = False  # the rest of a line that is too long
        self._row = 0

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the answers of whole lines, at most ROWS_AT_ONCE at a time."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if self._skipping and lines:
            lines[0] = b""
            self._skipping = False
        if self._skipping:
            self._rest = b""
        elif len(self._rest) > MAX_LINE:
            lines.append(self._rest)  # refused as too long now; what comes of it is skipped
            self._rest, self._skipping = b"", True
        whole = [line for line in lines if line.strip()]
        for first in range(0, len(whole), ROWS_AT_ONCE):
            yield self._answer(whole[first : first + ROWS_AT_ONCE])

    def end(self) -> Iterator[bytes]:
        """Yield the answer of a last line without its end."""
        if self._rest.strip():
            yield self._answer([self._rest])

    def fail(self, code: str, detail: str) -> bytes:
        """Return a line with the error."""
        return _error_line(self._row + 1, code, detail, None) + b"\n"

    def _answer(self, lines: Sequence[bytes]) -> bytes:
        first = self._row + 1
        self._row += len(lines)
        records, places = [], []
        out: list[bytes] = [b""] * len(lines)
        for place, line in enumerate(lines):
            record = _parsed(line)
            if isinstance(record, str):
                out[place] = _error_line(first + place, "line", record, None)
            else:
                records.append(record)
                places.append(place)
        answers, errors = self._scorer.score_records(records, self._clock())
        for position, error in errors.items():
            place = places[position]
            out[place] = _error_line(first + place, error.code, error.message, error.field)
        if answers is not None:
            for i, position in enumerate(answers.rows.tolist()):
                place = places[position]
                scores = {
                    name: {
                        "fraud_probability": float(answers.probabilities[name][i]),
                        "decision": answers.decisions[name][i],
                    }
                    for name in self._scorer.models
                }
                out[place] = orjson.dumps({"row": first + place, "scores": scores})
        return b"\n".join(out) + b"\n"


def _parsed(line: bytes) -> dict[str, object] | str:
    """Return a line's object, or the sentence that says why it is none."""
    if len(line) > MAX_LINE:
        return f"The line is longer than {MAX_LINE:,} bytes."
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "The line is not JSON."
    return record if isinstance(record, dict) else "The line is not a JSON object of field names and values."


def _error_line(row: int, code: str, detail: str, field: str | None) -> bytes:
    return orjson.dumps({"row": row, "error": {"code": code, "field": field, "detail": detail}})


class ArrowPieces:
    """Record batches in; batches of row, both answers and the error's field and sentence out."""

    media_type = "application/vnd.apache.arrow.stream"

    def __init__(self, scorer: StreamScorer, clock: Callable[[], datetime]) -> None:
        self._scorer = scorer
        self._clock = clock
        self._messages = ArrowMessages()
        self._row = 0
        columns = [("row", pa.int64())]
        for name in scorer.models:
            columns += [(f"{name}_probability", pa.float64()), (f"{name}_decision", pa.string())]
        self._schema = pa.schema([*columns, ("error_field", pa.string()), ("error", pa.string())])
        self._sink = _Sink()
        self._writer = ipc.new_stream(self._sink, self._schema)

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the answers of whole batches."""
        for table in self._messages.feed(chunk):
            answers, rejected = self._scorer.score_table(table, self._clock())
            self._write(table.num_rows, answers, {r.row - 1: (r.column, r.reason) for r in rejected})
            yield self._sink.drain()

    def end(self) -> Iterator[bytes]:
        """Yield the end of the stream."""
        self._messages.finish()
        self._writer.close()
        yield self._sink.drain()

    def fail(self, code: str, detail: str) -> bytes:
        """Return a row with the error, and the end of the stream."""
        self._write(1, None, {0: (None, detail)})
        self._writer.close()
        return self._sink.drain()

    def _write(self, n: int, answers: Answers | None, errors: Mapping[int, tuple[str | None, str]]) -> None:
        columns: dict[str, pa.Array] = {"row": pa.array(range(self._row + 1, self._row + n + 1), pa.int64())}
        self._row += n
        for name in self._scorer.models:
            probabilities: list[float | None] = [None] * n
            decisions: list[str | None] = [None] * n
            if answers is not None:
                for i, row in enumerate(answers.rows.tolist()):
                    probabilities[row] = float(answers.probabilities[name][i])
                    decisions[row] = str(answers.decisions[name][i])
            columns[f"{name}_probability"] = pa.array(probabilities, pa.float64())
            columns[f"{name}_decision"] = pa.array(decisions, pa.string())
        said = [errors.get(row, (None, None)) for row in range(n)]
        columns["error_field"] = pa.array([field for field, _ in said], pa.string())
        columns["error"] = pa.array([reason for _, reason in said], pa.string())
        self._writer.write_table(pa.table(columns, schema=self._schema))


class _Sink:
    """Where Arrow's writer writes, and what is taken from there."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._held.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Have nothing to do."""

    def drain(self) -> bytes:
        """Return what was written since the last time."""
        content = b"".join(self._held)
        self._held.clear()
        return content


class StreamedAnswer(Response):
    """Reads the request and sends the answer at the same time.

    Parameters
    ----------
    http : the request
    pieces : what answers
    version : of the models, sent as X-Model-Version
    """

    def __init__(self, http: Request, pieces: Pieces, version: str) -> None:
        super().__init__(media_type=pieces.media_type, headers={"X-Model-Version": version})
        del self.headers["content-length"]
        self._http = http
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answers of everything that comes in, then the end."""
        # Refused as problem details as long as nothing is answered: the first piece decides that.
        answers = self._answers()
        try:
            first = await anext(answers, b"")
        except ClientDisconnect:
            raise HTTPException(408, "Nothing more came of the body", {"Connection": "close"}) from None
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
            backlog = _Backlog(spool)
            backlog.put(first)
            sending = asyncio.create_task(backlog.send_all(send))
            try:
                try:
                    async for piece in answers:
                        await backlog.room()
                        backlog.put(piece)
                except TableError as error:
                    backlog.put(self._pieces.fail(error.code, error.message))
                except ClientDisconnect:
                    backlog.put(self._pieces.fail("too_slow", "Nothing more came of the stream."))
                backlog.close()
                await sending
            finally:
                sending.cancel()

    async def _answers(self) -> AsyncIterator[bytes]:
        async for chunk in self._http.stream():
            for begin in range(0, len(chunk), _PIECE):
                taken = self._pieces.take(chunk[begin : begin + _PIECE])
                while (piece := await run_in_threadpool(_next_of, taken)) is not None:
                    yield piece
        ended = self._pieces.end()
        while (piece := await run_in_threadpool(_next_of, ended)) is not None:
            yield piece


def _next_of(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


class _Backlog:
    """Bytes on their way to a client that reads as it likes: a file with an end and a front."""

    def __init__(self, spool: "SpooledTemporaryFile[bytes]") -> None:
        self._spool = spool
        self._written = self._sent = 0
        self._closed = False
        self._more, self._less = asyncio.Event(), asyncio.Event()

    def put(self, piece: bytes) -> None:
        """Add bytes."""
        self._spool.seek(self._written)
        self._spool.write(piece)
        self._written += len(piece)
        self._more.set()

    def close(self) -> None:
        """Add no more."""
        self._closed = True
        self._more.set()

    async def room(self) -> None:
        """Wait until the file is not full."""
        while self._written - self._sent > _ON_DISK:
            self._less.clear()
            await self._less.wait()

    async def send_all(self, send: Send) -> None:
        """Send everything up to the end."""
        while True:
            if self._sent == self._written:
                if self._closed:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                # Nothing is left to read: begin again at the front, so that the file stays small.
                self._written = self._sent = 0
                self._more.clear()
                await self._more.wait()
                continue
            self._spool.seek(self._sent)
            piece = self._spool.read(min(_PIECE, self._written - self._sent))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sent += len(piece)
            self._less.set()


def streamed_answer(http: Request, kind: str, scorer: StreamScorer) -> StreamedAnswer:
    """Return the answer to a stream of that content type."""
    clock = _now
    pieces: Pieces = (
        NdjsonPieces(scorer, clock) if kind == NdjsonPieces.media_type else ArrowPieces(scorer, clock)
    )
    return StreamedAnswer(http, pieces, scorer.version.version)


def _now() -> datetime:
    return datetime.now(UTC)
