"""Takes an Arrow IPC stream apart into its messages, believing none of its sizes.

Arrow's own reader waits for what a message announces and inflates compressed buffers, however large. Here the
frame of each message is read first: its size, and whether it is compressed, which is refused. What remains is
checked by Arrow in full. Format: arrow.apache.org/docs/format/Columnar.html, "Encapsulated message format".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.ipc as ipc

from fraud.errors import TableError

MAX_METADATA = 1_000_000
MAX_MESSAGE = 16_000_000
MAX_ROWS = 65_536
MAX_COLUMNS = 1_000
_SCHEMA, _DICTIONARY, _RECORD_BATCH = 1, 2, 3
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class _Frame:
    """A message's kind, whether its body is compressed, and the body's length."""

    kind: int
    compressed: bool
    body: int


class ArrowMessages:
    """Collects bytes and gives record batches; holds at most one message, the schema and the dictionaries.

    Raises
    ------
    TableError
        From `feed` and `finish`: the stream is none, or more than is read.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._schema = b""
        self._dictionaries: list[bytes] = []
        self._ended = False

    def feed(self, chunk: bytes) -> Iterator[pa.Table]:
        """Take bytes; yield the batches that are complete now."""
        self._waiting += chunk
        while not self._ended and (message := self._next()) is not None:
            frame, whole = message
            if frame.kind == _SCHEMA:
                self._begin(whole)
            elif frame.kind == _DICTIONARY:
                self._dictionaries.append(whole)
                if sum(map(len, self._dictionaries)) > MAX_MESSAGE:
                    raise _refused("its dictionaries are too large; send fewer levels")
            elif frame.kind == _RECORD_BATCH:
                yield self._read(whole)
            else:
                raise _refused("it holds something else than record batches")
        if self._ended and self._waiting:
            raise _refused("something follows its end")

    def finish(self) -> None:
        """Check that nothing is missing at the end."""
        if self._waiting or not self._schema:
            raise _refused("it ends in the middle of a message")

    def _begin(self, whole: bytes) -> None:
        if self._schema:
            raise _refused("it has a second schema")
        self._schema = whole
        try:
            names = ipc.open_stream(whole + _END).schema.names
        except (pa.ArrowException, OSError, ValueError) as error:  # of a name that is no text, too
            raise _refused("its schema cannot be read") from error
        if len(names) > MAX_COLUMNS:
            raise _refused(f"it has {len(names):,} columns, at most {MAX_COLUMNS:,} are read")
        if len(set(names)) != len(names):
            raise _refused("two of its columns have one name")

    def _read(self, whole: bytes) -> pa.Table:
        if not self._schema:
            raise _refused("it does not begin with a schema")
        try:
            # Dictionaries come between: those that this batch uses are all there by now.
            stream = b"".join((self._schema, *self._dictionaries, whole, _END))
            batch = ipc.open_stream(stream).read_next_batch()
            if batch.num_rows > MAX_ROWS:
                raise _refused(f"a batch has {batch.num_rows:,} rows; send at most {MAX_ROWS:,} at a time")
            batch.validate(full=True)
        except (pa.ArrowException, OSError, StopIteration, ValueError) as error:
            raise _refused("a batch of it cannot be read") from error
        return pa.Table.from_batches([batch])

    def _next(self) -> tuple[_Frame, bytes] | None:
        held = self._waiting
        if len(held) < 8:
            return None
        mark, size = struct.unpack_from("<Ii", held)
        if mark != 0xFFFFFFFF or not 0 <= size <= MAX_METADATA:
            raise _refused("it is no Arrow stream; send what pyarrow.ipc.new_stream writes")
        if size == 0:
            self._ended = True
            del held[:8]
            return None
        if len(held) < 8 + size:
            return None
        frame = _frame(bytes(held[8 : 8 + size]))
        if frame.compressed:
            raise _refused("its batches are compressed; send them plain")
        if not 0 <= frame.body <= MAX_MESSAGE:
            raise _refused(f"a message is larger than {MAX_MESSAGE:,} bytes; send fewer rows at a time")
        end = 8 + size + frame.body
        if len(held) < end:
            return None
        whole = bytes(held[:end])
        del held[:end]
        return frame, whole


def _refused(reason: str) -> TableError:
    return TableError(f"The Arrow stream is refused: {reason}.", code="arrow_stream")


def _frame(metadata: bytes) -> _Frame:
    """Read three fields of a message's flatbuffer (Message.fbs), every offset checked by `struct`."""
    try:
        message = struct.unpack_from("<I", metadata)[0]
        kind = _field(metadata, message, 1)
        header = _field(metadata, message, 2)
        body = _field(metadata, message, 3)
        batch = _table(metadata, header) if header else 0
        if kind and metadata[kind] == _DICTIONARY and batch:
            data = _field(metadata, batch, 1)
            batch = _table(metadata, data) if data else 0
        compressed = bool(batch) and metadata[kind] != _SCHEMA and bool(_field(metadata, batch, 3))
        length = struct.unpack_from("<q", metadata, body)[0] if body else 0
        return _Frame(metadata[kind] if kind else 0, compressed, length)
    except (struct.error, IndexError) as error:
        raise _refused("a message has no readable head") from error


def _table(metadata: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", metadata, at)[0])


def _field(metadata: bytes, table: int, number: int) -> int:
    """Return where a field of a flatbuffer's table is; 0 if it is not there."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    if vtable < 0:
        raise IndexError(vtable)
    size = struct.unpack_from("<H", metadata, vtable)[0]
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", metadata, vtable + place)[0] if place + 2 <= size else 0
    return table + offset if offset else 0
