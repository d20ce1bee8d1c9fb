"""Which file paths and tag names a versioned repository accepts, the same for every adapter."""

import re
import unicodedata
from collections.abc import Sequence

from fraud.errors import RepositoryError
from fraud.repositories.port import Operation

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_MAX_PART_BYTES = 255  # of ext4, APFS and NTFS: a longer name could be committed but never checked out


def check_path(path: str) -> str:
    """Return `path` if it is safe to write below any directory on any system.

    Raises
    ------
    RepositoryError
        Names the rule that the path breaks.
    """
    rule = _broken_rule(path)
    if rule:
        raise RepositoryError(f"The path {path!r} is not usable: {rule}.", code="unsafe_path", field="path")
    return path


def check_operations(operations: Sequence[Operation]) -> None:
    """Check every path, and that no path is named twice."""
    seen: set[str] = set()
    for operation in operations:
        check_path(operation.path)
        if operation.path in seen:
            raise RepositoryError(
                f"The path {operation.path!r} is named twice in one commit.", code="unsafe_path", field="path"
            )
        seen.add(operation.path)


def check_tag(name: str) -> str:
    """Return `name` if git and the Hub both accept it as a tag, and it cannot pass for a sha."""
    if not _TAG.fullmatch(name) or ".." in name or name.endswith((".", ".lock")):
        raise RepositoryError(
            f"The tag {name!r} is not usable: a letter or digit, then letters, digits, '.', '_', '+' or '-', "
            "at most 100 in all.",
            code="unsafe_tag",
            field="name",
        )
    if re.fullmatch(r"[0-9a-f]{40}", name):
        raise RepositoryError(f"The tag {name!r} looks like a revision.", code="unsafe_tag", field="name")
    return name


def _broken_rule(path: str) -> str | None:
    if not path:
        return "it is empty"
    if "\\" in path:
        return "it holds a backslash"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "it holds a control character or half a surrogate pair"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "it is absolute"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "it has an empty, '.' or '..' part"
        # Also the spellings that Windows and macOS fold into ".git": a clone there would run its hooks.
        folded = "".join(c for c in part if unicodedata.category(c) != "Cf").rstrip(". ").casefold()
        if folded in (".git", "git~1"):
            return "it enters .git"
        if len(part.encode()) > _MAX_PART_BYTES:
            return f"a part is longer than {_MAX_PART_BYTES} bytes"
    return None
