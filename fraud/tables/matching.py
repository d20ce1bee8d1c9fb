"""Which column of a stranger's table holds which of the profile's: a guess that a person can correct."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from fraud.data.columns import FALSE_WORDS, TRUE_WORDS
from fraud.data.profile import Profile
from fraud.errors import TableError
from fraud.tables.accepting import Matching
from fraud.tables.reading import Sheet

_SYNONYMS: Sequence[frozenset[str]] = tuple(
    frozenset(words.split())
    for words in (
        "amount amt value valor quantia montante price total purchase",
        "time timestamp datetime date data hora moment occurred when horario instante dt",
        "card cartao cc account conta pan",
        "customer client cliente user usuario titular portador cardholder",
        "merchant estabelecimento store shop loja lojista comerciante vendor terminal",
        "category categoria mcc kind tipo type",
        "channel canal entry mode",
        "country pais",
        "latitude lat",
        "longitude lon long lng",
        "home residencia casa",
        "age idade",
        "transaction transacao trans tx txn payment pagamento compra",
        "id identifier identificador number numero num no code codigo key",
        "days dias",
        "fraud fraude label rotulo target class classe",
    )
)
_FILLERS = frozenset(("of", "the", "a", "do", "da", "de", "dos", "das", "in", "em", "at", "is", "was"))
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+),\d+")
_ENOUGH = 0.62


@dataclass(frozen=True, slots=True)
class Wanted:
    """One column of the profile that a table may hold, and the kind of its cells."""

    column: str
    needed: bool
    kind: str
    names: tuple[str, ...]


def wanted_columns(profile: Profile) -> tuple[Wanted, ...]:
    """Return what is looked for in a table, what is needed first."""
    roles = profile.columns
    found: dict[str, Wanted] = {}
    if roles.time is not None:
        kind = "moment" if roles.time_step_ms is None else "number"
        found[roles.time] = Wanted(roles.time, True, kind, ("time", "date", "datetime"))
    for entity in profile.entities:
        names: tuple[str, ...] = (entity.name, entity.label.en, entity.label.pt_br)
        found[entity.column] = Wanted(entity.column, True, "text", names)
    for field in profile.fields:
        kind = {"number": "number", "category": "text", "boolean": "boolean", "date": "moment"}[field.kind]
        amount = ("amount",) if field.column == roles.amount else ()
        names = (field.label.en, field.label.pt_br, *amount)
        found[field.column] = Wanted(field.column, field.required, kind, names)
    optional = {roles.id: ("transaction id", "id"), roles.label: ("fraud",), roles.label_at: ()}
    for column, names in optional.items():
        if column is not None and column not in found:
            found[column] = Wanted(column, False, "any", names)
    return tuple(sorted(found.values(), key=lambda one: not one.needed))


def guess(sheet: Sheet, profile: Profile) -> Matching:
    """Return the likeliest column for each of the profile's: by name, by meaning (en, pt), by its cells.

    A column is given once, and a weak likeness is none: a person sees what is missing.
    """
    wanted = wanted_columns(profile)
    cells = {name: [row.get(name) for row in sheet.sample] for name in sheet.columns}
    likeness = {
        (one.column, name): 1.0
        if name == one.column
        else _likeness(one, name) * _fitness(one.kind, cells[name])
        for one in wanted
        for name in sheet.columns
    }
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for (column, name), value in sorted(likeness.items(), key=lambda item: -item[1]):
        if value < _ENOUGH:
            break
        if column not in chosen and name not in taken:
            chosen[column] = name
            taken.add(name)
    ordered = {one.column: chosen[one.column] for one in wanted if one.column in chosen}
    return Matching(ordered, _has_decimal_comma(sheet))


def by_name(sheet: Sheet, profile: Profile) -> Matching:
    """Return the columns that are called as the profile calls them, for a table that nobody looks at first.

    What is missing shows when rows are read: the full rules name it.
    """
    named = {one.column: one.column for one in wanted_columns(profile) if one.column in sheet.columns}
    return Matching(named, _has_decimal_comma(sheet))


def checked(columns: Mapping[str, str | None], sheet: Sheet, profile: Profile) -> Matching:
    """Return what a person chose.

    Raises
    ------
    TableError
        The profile needs a column that nothing was chosen for, a column was chosen twice, or is not there.
    """
    chosen = {column: name for column, name in columns.items() if name}
    for one in wanted_columns(profile):
        if one.needed and one.column not in chosen:
            raise TableError(
                f'No column was chosen for "{one.column}", and the profile "{profile.name}" needs it.',
                code="match_missing",
                field=one.column,
            )
    names = list(chosen.values())
    for column, name in chosen.items():
        if name not in sheet.columns:
            raise TableError(
                f'The table has no column "{name[:60]}".', code="match_unknown", field=column,
                params={"name": name[:60]},
            )  # fmt: skip
        if names.count(name) > 1:
            raise TableError(
                f'The column "{name[:60]}" was chosen twice; choose another for one of them.',
                code="match_twice",
                field=column,
                params={"name": name[:60]},
            )
    return Matching(chosen, _has_decimal_comma(sheet))


def _likeness(wanted: Wanted, name: str) -> float:
    own = _words(name)
    return max(_alike(own, _words(other)) for other in (wanted.column, *wanted.names) if other)


def _words(name: str) -> frozenset[str]:
    """Return a name's words without accents and case, each as its meaning: "Nº do Cartão" is (id, card)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    split = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower())
    return frozenset(_meaning(word) for word in split if word not in _FILLERS)


def _meaning(word: str) -> str:
    singular = word[:-1] if word.endswith("s") and len(word) > 3 else word
    for group in _SYNONYMS:
        if word in group or singular in group:
            return min(group)
    return singular


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Return 0.95 for the same meaning, less where words are missing or only look alike."""
    if not one or not other:
        return 0.0
    if one == other:
        return 0.95
    shared = len(one & other) / len(one | other)
    spelled = SequenceMatcher(None, " ".join(sorted(one)), " ".join(sorted(other))).ratio()
    return max(0.9 * shared + 0.12 * bool(shared), 0.85 * spelled)


def _fitness(kind: str, cells: Iterable[str | None]) -> float:
    """Return 1 where a column's cells may be of a kind, 0.5 where they are not."""
    seen = [cell.strip() for cell in cells if cell and cell.strip()]
    if not seen or kind in ("any", "text"):
        return 1.0
    if kind == "moment":
        fits = all(_MOMENT.match(cell) for cell in seen)
    elif kind == "boolean":
        fits = all(cell.lower() in TRUE_WORDS | FALSE_WORDS for cell in seen)
    else:
        fits = all(_NUMBER.fullmatch(cell) or _COMMA_NUMBER.fullmatch(cell) for cell in seen)
    return 1.0 if fits else 0.5


def _has_decimal_comma(sheet: Sheet) -> bool:
    if sheet.kind != "csv" or sheet.separator == ",":
        return False
    return any(_COMMA_NUMBER.fullmatch((cell or "").strip()) for row in sheet.sample for cell in row.values())
