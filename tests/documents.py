"""What the documents tell people to type, found by a rule.

A command is a line of a block (indented, or fenced without a language) or a code span that begins with one of
`PROGRAMS`, or that sets a variable. What stands behind two blanks or behind ` #` is a remark.
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    ROOT / "README.txt",
    ROOT / "README.pt-BR.txt",
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "notebooks" / "README.txt",
    *sorted((ROOT / "benchmarks" / "results").glob("*.md")),
)
PROGRAMS = (
    "python", "make", "curl", "docker", "nginx", "openssl", "sqlite3", "pip", "promtool", "echo", "cd",
    "umask", "sudo", "export", "deploy/schedules/retrain.sh",
)  # fmt: skip

_CRON = re.compile(r"(?:[\d*/,-]+ ){5} *")
_SET = re.compile(r'(?:export )?[A-Z][A-Z0-9_]*=(?:"[^"]*"|\$\([^)]*\)|\S)*')
_REMARK = re.compile(r""" {2,}(?!#)[^'"]*$|\s+#[ ].*$""")


def documented() -> dict[str, list[str]]:
    """Return every command -> the documents that tell it, by their paths from the top folder."""
    found: dict[str, list[str]] = {}
    for document in DOCUMENTS:
        for command in commands_in(document.read_text(encoding="utf-8")):
            place = document.relative_to(ROOT).as_posix()
            if place not in found.setdefault(command, []):
                found[command].append(place)
    return found


def commands_in(text: str) -> list[str]:
    """Return the commands of one document, in order, each as one would type it."""
    return [command for part in _code(text) if (command := _as_typed(part)) is not None]


def _code(text: str) -> Iterator[str]:
    """Yield the lines of its blocks without their remarks, and the code spans of its prose."""
    fence, prose, blocks = None, [], []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.startswith("```"):
            fence = line[3:] if fence is None else None
        elif fence == "" or (fence is None and line.startswith("    ")):
            blocks.append(_REMARK.sub("", _CRON.sub("", line.strip())).strip())
        elif fence is None:
            prose.append(line)
    yield from blocks
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(prose)):
        yield " ".join(span.split())


def _as_typed(part: str) -> str | None:
    """Return a command without its way to a folder or an interpreter; None for other code."""
    part = part.removeprefix("cd /path/to/the/demo && ")
    part = re.sub(r"^(?:\.\./)*\.venv/bin/", "", part)
    rest = _SET.sub("", part).strip()
    first, _, more = rest.partition(" ")
    if (first in PROGRAMS and more) or first.endswith("retrain.sh") or rest.startswith("git clone "):
        return part
    return part if not rest and _SET.match(part) else None
