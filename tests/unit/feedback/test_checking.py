"""The fast way to read a dataset against the careful one, which parses line by line."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fraud.feedback import checking
from fraud.feedback.canonical import canonical_json, content_digest
from fraud.feedback.checking import check_blocks, fingerprint
from fraud.feedback.columnar import NUMBERS, OPTIONAL, TEXTS, Columns, content_holds
from fraud.feedback.dataset import pull, read_events, scan_rows, scan_tables
from fraud.feedback.events import COLUMNS, review_row, submission, withdrawal_row
from fraud.feedback.parquet import arrow_schema, table_of
from fraud.feedback.parsing import NULL_IN
from fraud.feedback.seen import Seen
from fraud.feedback.shards import ids_in, json_line, may_be_about, may_show, prediction_in
from fraud.ids import new_id
from fraud.records import Finding, Review, Withdrawal

OLD = Path(__file__).parents[2] / "compat" / "fixtures" / "train-20260105-n1-schema1.jsonl"
BROKEN = [
    b"", b"\n", b"nonsense\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"[" * 5_000 + b"\n", b'{"event":{"a":1}}\n',
    b'{"event":' + b"[" * 100_000 + b"}\n", b'{"event":"x"},{"event":"y"}\n',
    b'{"x":"' + b"y" * 1_100_000 + b'"}\n',
]  # fmt: skip
RAW = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e-400", "1e-400", "-0", "-0.0", "0", "0.0", "1", "1.0",
    "1E0", "2",
    "2.0", "3", "01", "1.", ".5", "+1", "0x1", "1_0", "9007199254740992", "9007199254740993",
    "9007199254740993.0",
    "9223372036854775807", "9223372036854775808", "99999999999999999999", "9" * 400, "9" * 5_000, "1e20",
    "5e-324",
    "0.1000000000000000055511151231257827", "true", "false", "null", "nul", '"1"', '"0.5"', '""', '" "',
    "[]", "{}",
    '{"a":1}', "[1]", r'"\ud800"', r'"\udc00x"', r'"\ud83d\ude00"', r'"\u0000"', r'"a\u0001b"', r'"a\r\nb"',
    r'"a\nb"',
    '"a\tb"', '"\x7f"', '"\u2028"', '"\u202e"', '"\ufeff"', '"\U0001f468\u200d\U0001f469"', '"çã 漢"',
    r'"\x"', r'"\/"',
    '"' + "x" * 300 + '"', '"' + "x" * 301 + '"', '"' + "漢" * 2_001 + '"', '"Fraud"', '"fraud"', '"review"',
    '"prediction"', '"flag"', '"withdrawal"', '"p_1"', '"f_1"', '"' + "d" * 64 + '"', '"' + "D" * 64 + '"',
    '"' + "٣" * 64 + '"', r'"{\"a\":1}"', r'"{\"a\":1,\"a\":1}"', r'"[{\"a\":1.0}]"', r'"[]"', r'"[[]]"',
    '"{"',
]  # fmt: skip
TEXT_CHANGES = {
    "cut": lambda line: line[: len(line) // 2], "twice": lambda line: line.rstrip(b"\n") * 2 + b"\n",
    "no end": lambda line: line.rstrip(b"\n"), "dos": lambda line: line.rstrip(b"\n") + b"\r\n",
    "spaced": lambda line: line.replace(b'":', b'" : '), "mark": lambda line: b"\xef\xbb\xbf" + line,
    "nul": lambda line: line.replace(b"}\n", b"}\x00\n"), "comma": lambda line: line.replace(b"}\n", b",}\n"),
    "bytes": lambda line: line.replace(b'"node":"n1"', b'"node":"\xff\xed\xa0\x80"'),
    "escaped name": lambda line: line.replace(b'"event":', b'"ev\\u0065nt":'),
    "name twice": lambda line: line.replace(b'"node":', b'"node":null,"node":'),
    "event twice": lambda line: line.replace(b"}\n", b',"event":"flag"}\n'),
    "two lines": lambda line: line.replace(b',"node"', b'\n,"node"'), "as it is": lambda line: line,
    "unknown": lambda line: line.replace(b"}\n", b',"extra":1}\n'), "front": lambda line: b" " + line,
}  # fmt: skip


class Folder:
    """A repository with one revision, which is a directory."""

    def __init__(self, path):
        self.path = path

    def resolve(self, revision):
        return revision

    def snapshot(self, revision):
        return self.path


@pytest.fixture(scope="module")
def good(make_prediction, make_flag):
    """Return sound rows of every kind, among them rows about one event that say the same and that do not."""
    rows = []
    for changes in (
        {}, {"history": None}, {"audit_asked": True, "audit_probability": 0.25}, {"audit_probability": 1.0},
        {"transaction": {"a": {"b": [1]}}}, {"transaction": {"ç": 'a"b\\', "z": 1e-7, "y": 1e300,
        "x": 0.00001}},
        {"latency_ms": 0.0, "profile": "cartões"},
    ):  # fmt: skip
        prediction = make_prediction(**changes)
        rows += submission(
            prediction, make_flag(prediction, comment="ç\n\u2028" if changes else ""), node="n1"
        )
    flag = make_flag(prediction)
    rows += [
        {**rows[0], "node": "n2", "consent_version": "x"},
        {**rows[1], "comment": "other"},
        rows[1],
        rows[0],
    ]
    rows += [{**rows[0], "random_forest_probability": 0.5}, {**rows[1], "node": "n2"}]
    rows.append(review_row(Review("v_1", flag.flagged_at, flag.flag_id, Finding.ACCEPT, "n", "m"), node="n1"))
    rows.append(
        withdrawal_row(
            Withdrawal("w_" + rows[5]["event_id"][2:], flag.flagged_at, rows[5]["event_id"]), node="n"
        )
    )
    rows.append({**rows[-1], "node": "n7", "recorded_ms": rows[-1]["recorded_ms"] + 1})
    return [json_line(row) for row in rows] + OLD.read_bytes().splitlines(keepends=True)


def with_raw(line, column, raw):
    """Return a line with the JSON of one column replaced by a text that may be no JSON."""
    row = json.loads(line)
    row[column] = "@@"
    return json_line(row).replace(b'"@@"', raw.encode("utf-8", "surrogatepass"))


def hostile(lines):
    """Return a strategy for one line of a shard."""
    line = st.sampled_from(lines)
    return st.one_of(
        line, line, line, st.sampled_from(BROKEN),
        st.builds(with_raw, line, st.sampled_from([*COLUMNS]), st.sampled_from(RAW)),
        st.builds(lambda line, name: TEXT_CHANGES[name](line), line, st.sampled_from(sorted(TEXT_CHANGES))),
        st.builds(lambda line, column: json_line({k: v for k, v in json.loads(line).items() if k != column}),
                  line, st.sampled_from([*COLUMNS])),
        st.binary(max_size=20).map(lambda noise: noise + b"\n"),
    )  # fmt: skip


def folder_of(root, shards):
    (root / "data").mkdir()
    for number, lines in enumerate(shards):
        (root / "data" / f"train-{number}.jsonl").write_bytes(b"".join(lines))
    return Folder(root)


def assert_same_by_both_ways(repository, out):
    scanned = list(scan_rows(repository, "r"))
    rows = [item[0] for item in scanned if isinstance(item, tuple)]
    bad = [asdict(item) for item in scanned if not isinstance(item, tuple)]
    report = pull(repository, "r", out)
    table = pq.read_table(out / "events.parquet")
    assert table.schema.equals(arrow_schema())
    # As texts: -0.0 equals 0.0, and is another number.
    expected = table_of(rows).to_pylist()
    assert [repr(row) for row in table.to_pylist()] == [repr(row) for row in expected]
    assert [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()] == bad
    assert (report.n_events, report.n_quarantined) == (len(rows), len(bad))


@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=st.sampled_from([1, 3, 8_192]), few=st.sampled_from([1, 32]))
def test_a_pull_finds_what_the_careful_parser_finds_whatever_the_lines_are(good, data, size, few):
    shards = data.draw(st.lists(st.lists(hostile(good), max_size=12), min_size=1, max_size=3))
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr("fraud.feedback.checking._MAX_LINES", size)
        patch.setattr("fraud.feedback.columnar._FEW", few)
        repository = folder_of(Path(root), shards)
        assert_same_by_both_ways(repository, Path(root) / "out")


@pytest.mark.parametrize("which", [0, 1])
def test_every_column_takes_what_the_careful_parser_takes(good, tmp_path, which, monkeypatch):
    monkeypatch.setattr("fraud.feedback.columnar._FEW", 1)
    lines = [with_raw(good[which], column, raw) for column in COLUMNS for raw in RAW]
    # Each line says something else of an event of its own.
    named = [
        line.replace(json.loads(good[which])["event_id"].encode(), new_id("p").encode()) for line in lines
    ]
    assert_same_by_both_ways(folder_of(tmp_path, [named]), tmp_path / "out")


def test_what_this_version_and_the_first_wrote_is_not_parsed_line_by_line(good, tmp_path, monkeypatch):
    lines = [line for n, line in enumerate(good) if json.loads(line)["event"] in TEXTS and n not in (8, 10)]

    def never(line):
        raise AssertionError(line)

    monkeypatch.setattr(checking, "parse_line", never)
    checked = list(check_blocks(folder_of(tmp_path, [lines]).path, {}))
    assert [block.table.num_rows for block in checked] == [len(lines)]


def test_one_bad_line_among_many_leaves_the_rest_to_the_fast_way(good, tmp_path, monkeypatch):
    parsed = []
    careful = checking.parse_line
    monkeypatch.setattr(checking, "parse_line", lambda line: (parsed.append(line), careful(line))[1])
    folder = folder_of(tmp_path, [[*good[:2] * 500, b'{"event":}\n', *good[:2] * 500]])
    (checked,) = check_blocks(folder.path, {})
    assert (checked.table.num_rows, [index for index, _ in checked.bad]) == (2_000, [1_000])
    assert len(parsed) <= 32


def test_every_column_of_a_kind_has_a_rule_in_the_fast_way():
    common = {"schema_version", "event", "recorded_ms"}
    yes_or_no = {"flag": ["answers_audit"]}  # in a column of booleans any value is sound, and so is null
    for kind, texts in TEXTS.items():
        covered = [*NULL_IN[kind], *texts, *common, *yes_or_no.get(kind, [])]
        if kind == "prediction":
            covered += [*NUMBERS, *OPTIONAL]
        assert sorted(covered) == sorted(COLUMNS), kind


numbers = (
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1e16, 1e-5, 0.0001])
)
plain = st.none() | st.booleans() | st.text(max_size=8) | numbers
objects = st.dictionaries(st.text(max_size=5), plain | st.lists(plain, max_size=2), max_size=5)
WRITERS = [
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True),
    lambda value: json.dumps(value, separators=(",", ":"), sort_keys=True),
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    lambda value: json.dumps(value), lambda value: canonical_json(value, "x"),
    lambda value: canonical_json(value, "x").replace("e-0", "e-"),
    lambda value: canonical_json(value, "x").replace(":1", ":1,\"a\":1"),
]  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(value=objects, history=st.none() | st.lists(objects, max_size=2), write=st.sampled_from(WRITERS))
@example({"a": 1.5, "b": "ç", "c": None, "d": True, "e": 12}, [{"a": 1}], WRITERS[0])
def test_inputs_that_hold_for_certain_are_canonical(value, history, write):
    text, past = write(value), None if history is None else write(history)
    if content_holds("p", text, past, content_digest("p", text, past)):
        assert canonical_json(json.loads(text), "x") == text
        assert past is None or canonical_json(json.loads(past), "x") == past
    assert not content_holds("p", text, past, content_digest("q", text, past))


def test_ordinary_inputs_hold_for_certain():
    text, past = canonical_json({"b": 12.75, "a": "São Paulo", "c": None, "d": 3.0}, "x"), '[{"a":1},{}]'
    assert content_holds("çã", text, past, content_digest("çã", text, past))
    assert content_holds('a"b\\', text, None, content_digest('a"b\\', text, None))


@pytest.mark.parametrize("text", ['{"a":5.0}', '{"a":1e-7}', '{"a":1e-07}', '{"b":1,"a":1}', '{"a":1,"a":1}',
                                  '{"a":1} ', '{"a": 1}', '{"a":-0.0}', '{"a":1e20}', "[]", "",
                                  '{"a":"\\ud800"}'])  # fmt: skip
def test_inputs_that_are_not_canonical_for_certain_are_in_doubt(text):
    assert not content_holds("p", text, None, content_digest("p", text, None))


def test_both_fingerprints_hold_the_same_rows_equal(good, tmp_path):
    rows = [json.loads(line) for line in good]
    rows += [{**rows[0], "latency_ms": 0}, {**rows[0], "latency_ms": 0.0}, {**rows[0], "latency_ms": -0.0}]
    rows += [{column: value for column, value in rows[0].items() if value is not None}]
    rows += [{**rows[1], "reporter": value} for value in ("None", "0", "nan")]
    for kind in TEXTS:
        for column in TEXTS[kind]:
            first = next(row for row in rows if row["event"] == kind)
            rows.append({**first, column: first[column] + "x"}) if column != "event_id" else None
    by_row = [fingerprint(row) for row in rows]
    by_column = Columns(table_of(rows)).fingerprints()
    assert [by_row.index(value) for value in by_row] == [by_column.index(value) for value in by_column]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=8), st.integers(0, 8))
def test_asking_for_many_ids_at_once_is_asking_for_each_in_turn(pairs, cut):
    with Seen() as one, Seen() as many:
        expected = [one.earlier(*pair) for pair in pairs]
        found = []
        for part in (pairs[:cut], pairs[cut:]):
            found += many.earlier_of_each([pair[0] for pair in part], [pair[1] for pair in part])
    assert found == expected


PIECES = [b'"event_id"', b'"about_event_id"', b'"prediction_id"', b":", b" ", b'"', b'"f_1"', b'"p_1"',
          b"f_1", b",", b"\n", b"\\", b"x", b'"event_id":"f_1"', b'"prediction_id":"p_1"', b"{",
          b"}"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_a_quick_look_at_a_file_misses_no_line(content):
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "shard"
        path.write_bytes(content)
        lines = content.split(b"\n")
        if any(b"f_1" in ids_in(line) for line in lines):
            assert may_be_about(path, {b"f_1"})
        if any(prediction_in(line) == b"p_1" for line in lines):
            assert may_show(path, {b"p_1"})


def test_tables_hold_the_events_of_read_events_in_small_pieces(good, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "_MAX_LINES", 4)
    repository = folder_of(tmp_path, [good, [b"nonsense\n"] * 9, good])
    tables = list(scan_tables(repository, "r"))
    assert all(table.schema.equals(arrow_schema()) and 0 < table.num_rows <= 4 for table in tables)
    assert pa.concat_tables(tables)["event_id"].to_pylist() == [
        event.event_id for event in read_events(repository, "r")[0]
    ]


def test_an_empty_dataset_is_pulled_as_an_empty_table(tmp_path):
    assert_same_by_both_ways(folder_of(tmp_path, [[], [b""]]), tmp_path / "out")


def test_an_error_of_the_disk_while_reading_ahead_is_not_lost(good, tmp_path):
    folder = folder_of(tmp_path, [good])
    (tmp_path / "data" / "train-1.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(OSError, match="train-1"):
        list(scan_tables(folder, "r"))
