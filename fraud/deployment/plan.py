"""A plan: what a deployment would do, step by step, and how it is shown."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fraud.repositories.port import Add, Operation

_MOST_LINES = 40
"""Of one file's difference."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, or that is as it should be (`act` is None).

    Attributes
    ----------
    title : one line, without any secret
    diff : returns the lines below it; asked for only where they are shown
    """

    title: str
    act: Callable[[], None] | None = None
    diff: Callable[[], Sequence[str]] = tuple

    @property
    def mark(self) -> str:
        """An equals sign where nothing is to be done, a tilde where something is."""
        return "=" if self.act is None else "~"


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps, in their order, and remarks on what is left out."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def n_changes(self) -> int:
        """How many steps change something."""
        return sum(step.act is not None for step in self.steps)

    def lines(self, *, diff: bool = False) -> Iterator[str]:
        """Yield the plan as text."""
        for step in self.steps:
            yield f"{step.mark} {visible(step.title)}"
            if diff:
                yield from (f"    {visible(line)}" for line in step.diff())
        yield from (f"note: {note}" for note in self.notes)


def visible(line: str) -> str:
    """Return a line without what would steer a terminal: files on a Hub are written by others too."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def file_lines(operations: Sequence[Operation], read: Callable[[str], bytes | None]) -> Iterator[str]:
    """Yield what operations change, file by file; `read` returns what a path holds now, None if nothing."""
    for operation in operations:
        if not isinstance(operation, Add):
            yield f"- {operation.path}"
            continue
        new = operation.content if isinstance(operation.content, bytes) else operation.content.read_bytes()
        old = read(operation.path)
        yield f"{'+' if old is None else '~'} {operation.path}  {len(new):,} bytes"
        if old is not None:
            yield from (f"    {line}" for line in text_difference(old, new))


def text_difference(old: bytes, new: bytes) -> Sequence[str]:
    """Return a unified difference of two texts, cut after some lines; of other files, their sizes."""
    try:
        before, after = old.decode("utf-8").splitlines(), new.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return [f"{len(old):,} -> {len(new):,} bytes, no text"]
    lines = [*difflib.unified_diff(before, after, lineterm="", n=1)][2:]
    cut = len(lines) - _MOST_LINES
    return lines if cut <= 0 else [*lines[:_MOST_LINES], f"... and {cut:,} more lines"]
