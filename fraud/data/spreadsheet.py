"""Tables that people open in a spreadsheet, which runs what looks like a formula."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before every text or name that a spreadsheet would run.

    Texts that are plain numbers stay. (OWASP, "CSV Injection".)
    """
    columns = {
        name: frame[name].map(_safe) if not pd.api.types.is_numeric_dtype(frame[name]) else frame[name]
        for name in frame.columns
    }
    return pd.DataFrame(columns, index=frame.index).rename(columns=_safe)


def safe_texts(texts: pa.Array) -> pa.Array:
    """Return texts with an apostrophe before each that a spreadsheet would run; see above."""
    runs = pc.match_substring_regex(texts, r"^ *[=+\-@\t\r\n]")
    if not pc.any(runs).as_py():
        return texts
    number = pc.match_substring_regex(texts, r"^ *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$")
    quoted = pc.binary_join_element_wise("'", texts, "")
    return pc.if_else(pc.and_(runs, pc.invert(number)), quoted, texts)


def _safe(value: object) -> object:
    if not isinstance(value, str) or not value.lstrip(" ").startswith(_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return "'" + value
    return value
