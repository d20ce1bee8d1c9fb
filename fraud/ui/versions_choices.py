"""What can be chosen on the Versions tab, and what of it is on the page already."""

import hashlib

from fraud.release_history import Entry, Timeline
from fraud.ui.texts import text


def meant(action: str, timeline: Timeline, chosen: object) -> str | None:
    """Return the version that a button is about; None where there is none, or it cannot serve."""
    aliases = timeline.aliases
    version = {"rollback": aliases.previous, "promote": chosen}.get(action, aliases.challenger)
    entry = timeline.entry(version) if isinstance(version, str) else None
    if entry is None or not timeline.recorded:
        return None
    return entry.version if entry.promotable or action == "reject" else None


def first_pair(timeline: Timeline) -> tuple[str | None, str | None]:
    """Return what is compared before anybody chose: what may change next, or what changed last."""
    aliases = timeline.aliases
    for old, new in ((aliases.champion, aliases.challenger), (aliases.previous, aliases.champion)):
        if timeline.entry(old) is not None and timeline.entry(new) is not None:
            return old, new
    versions = [entry.version for entry in timeline.entries]
    return (versions[1], versions[0]) if len(versions) > 1 else (None, None)


def choice(entry: Entry, language: str) -> tuple[str, str]:
    """Return a version as a dropdown shows it, and its value."""
    roles = ", ".join(text(f"versions_role_{role}", language) for role in entry.roles)
    return (f"{entry.version} \u00b7 {roles}" if roles else entry.version), entry.version


def mark(update: object) -> str:
    """Return a short digest of an update: equal ones need not be sent again."""
    return hashlib.sha256(repr(update).encode()).hexdigest()[:16]
