"""The columnar way and the judge agree on every line: verdict, record, reason."""

import gzip
import random
import zlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.examples import examples
from validation.lines import ABSENT, TELEMETRY, hostile_lines, line_of, with_changes

from monsoon.sources import block_structure, line_blocks
from monsoon.sources.block_structure import Structure, lines_within
from monsoon.sources.line_blocks import BlockValidator, collect
from monsoon.transforms.validation.clean_line import clean_line_pattern, key_order
from monsoon.transforms.validation.fields import stream_fields
from monsoon.transforms.validation.record_validator import RecordValidator, ValidRecord

FIELDS = stream_fields("telemetry")
VALIDATOR = RecordValidator("telemetry")
GOOD_LINE = line_of(TELEMETRY)


def outcome(validated):
    """Everything that a block came to, in an order of its own."""
    records = [row for frame in validated.frames for row in frame.iter_rows(named=True)]
    dead = [(dead.reason, dead.detail, dead.raw, dead.seen_at) for dead in validated.dead]
    return validated.read, sorted(map(repr, records)), sorted(dead)


def validate_records(lines):
    return outcome(collect(VALIDATOR(line.removesuffix(b"\r")) for line in lines))


@examples(200)
@given(st.lists(hostile_lines(), min_size=1, max_size=6), st.booleans())
def test_hostile_blocks(lines, ended):
    """The good lines in the middle teach the validator the pattern that the hostile ones then meet."""
    lines = [*lines, GOOD_LINE, *lines, GOOD_LINE + b"\r", b""]
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    validator = BlockValidator(VALIDATOR)
    validator.validate(GOOD_LINE)
    assert outcome(validator.validate(content)) == validate_records(lines)


@examples(100)
@given(st.data())
def test_hostile_blocks_with_times_of_arrival(data):
    """A report that states no received_time has the one at which it arrived, whichever way it is validated."""
    lines = data.draw(st.lists(hostile_lines() | st.just(GOOD_LINE) | st.just(b""), min_size=1, max_size=8))
    event_ms = TELEMETRY["event_time"]
    moments = st.sampled_from([event_ms, event_ms + 5_000, event_ms - 5_000, event_ms - 30 * 3_600_000])
    arrived = data.draw(st.lists(moments, min_size=len(lines), max_size=len(lines)))
    content = b"\n".join(lines)
    validator = BlockValidator(VALIDATOR)
    validator.validate(GOOD_LINE)
    verdicts = [VALIDATOR(line.removesuffix(b"\r"), at_ms) for line, at_ms in zip(lines, arrived, strict=True)]
    if content.endswith(b"\n") or not content:  # the end of a last line, not a blank one
        return
    found = validator.validate(content, np.array(arrived, dtype=np.int64))
    assert outcome(found) == outcome(collect(verdicts))
    numbers = np.concatenate([*found.line_numbers, np.zeros(0, dtype=np.int64)]).tolist()
    rows = [repr(row) for frame in found.frames for row in frame.iter_rows(named=True)]
    alone = [repr(row) for at in numbers for row in collect([verdicts[at]]).frames[0].iter_rows(named=True)]
    assert rows == alone


@pytest.mark.parametrize(
    ("stated_ms", "arrived_after_ms", "received_after_ms"),
    [(None, 0, None), (None, 7_000, 7_000), (3_000, 7_000, 3_000), (None, -9 * 3_600_000, -9 * 3_600_000)],
)
def test_a_report_is_received_when_it_arrived_unless_it_says_when(stated_ms, arrived_after_ms, received_after_ms):
    event_ms = TELEMETRY["event_time"]
    line = line_of(TELEMETRY | {"received_time": None if stated_ms is None else event_ms + stated_ms})
    for content in (line, b"\n".join([line, b"not JSON"])):
        arrived = np.full(content.count(b"\n") + 1, event_ms + arrived_after_ms)
        frame = BlockValidator(VALIDATOR).validate(content, arrived).frames[0]
        expected = None if received_after_ms is None else event_ms + received_after_ms
        assert frame["received_time"].to_list() == [expected]


LENIENT = [
    (b'"LTE-404', b'"\\ud83d'),  # Polars: NUL
    (b'"zepto"', b"404"),  # "404"
    (b'"zepto"', b"[1]"),
    (b'"b1027c4d"', b"1027"),
    (b'"lat":28.6', b'"lat":28.6,"lat":null'),  # the first
    (b'"lat":28.6', b'"lat":28.6,"l\\u0061t":9'),
    (b'"lat":28.6', b'"lat":-0.0'),  # another zero
    (b'"event_time":1718000000000', b'"event_time":17180000000000000000'),
    (b'"device_id":"d41d8cd98f00b204"', b'"device_id":"00-1b-44-11-3a-b7"'),
    (b'"device_id":"d41d8cd98f00b204"', b'"device_id":"9876543210"'),
]


@pytest.mark.parametrize(("good", "bad"), LENIENT)
def test_where_a_lenient_reader_errs(good, bad):
    assert good in GOOD_LINE
    lines = [GOOD_LINE, GOOD_LINE.replace(good, bad)]
    validator = BlockValidator(VALIDATOR)
    validator.validate(GOOD_LINE)
    assert outcome(validator.validate(b"\n".join(lines))) == validate_records(lines)


SHORT = line_of({name: TELEMETRY[name] for name in TELEMETRY if name not in ("speed_mps", "cell", "bssids")})
SPARSE = {field.name: TELEMETRY[field.name] for field in FIELDS if field.required}
WITH_NULLS = line_of({**TELEMETRY, "speed_mps": None, "cell": None})
CANCELING = [
    [SHORT[:-1] + b',"lat":1,"speed_mps":2}'],
    [SHORT[:-1] + b',"speed_mps":2,"speed_mps":null}', GOOD_LINE],
    [SHORT[:-1] + b',"speed_mps":null,"speed_mps":null}', SHORT],
    [SHORT[:-1] + b',"speed_mps":null,"speed_mps":2}'],
    [SHORT[:-1] + b',"cell":5,"nobody":"x"}', GOOD_LINE],
    [SHORT[:-1] + b',"cell":["x"]}', SHORT],
    [SHORT[:-1] + b',"bssids":["x",null],"nobody":"x"}', GOOD_LINE],
    [SHORT[:-1] + b',"cell":"[","bssids":"x"}'],
    [SHORT[:-1] + b',"cell":":x"}', SHORT[:-1] + b',"cell" :"x"}'],
    [WITH_NULLS[:-1] + b',"cell":"x"}', SHORT],
    [WITH_NULLS[:-1] + b',"lat":null}', SHORT[:-1].replace(b'"lat":28.6,', b"") + b"}"],
    [WITH_NULLS.replace(b":null", b" : null"), GOOD_LINE],
    [WITH_NULLS.replace(b":null", b": null"), WITH_NULLS],
    [b'{"nobody":null}', GOOD_LINE],
]


@pytest.mark.parametrize("lines", CANCELING)
def test_sums_that_might_cancel_between_keys_or_lines(lines):
    for some in (lines, [*lines, WITH_NULLS], [GOOD_LINE, *lines, *lines]):
        assert outcome(BlockValidator(VALIDATOR).validate(b"\n".join(some))) == validate_records(some)


def test_blocks_with_nulls_and_spaces_are_clean_as_a_whole():
    spaced = WITH_NULLS.replace(b":null", b": null")
    validator = BlockValidator(VALIDATOR)
    assert validator._whole(b"\n".join([GOOD_LINE, WITH_NULLS, SHORT, spaced])).height == 4


def test_a_null_may_be_the_first_field_of_a_block():
    line = line_of({"cell": None, **SPARSE})
    assert BlockValidator(VALIDATOR)._whole(line + b"\n" + GOOD_LINE).height == 2


@pytest.mark.parametrize("name", [field.name for field in FIELDS if not field.required])
def test_a_null_counts_for_the_key_that_is_spelled_just_so(name):
    others = [name[:at] + "~" + name[at + 1 :] for at in range(len(name))] + [f"x{name}", name[1:]]
    for key in others:
        assert BlockValidator(VALIDATOR)._whole(line_of({**SPARSE, key: None})) is None, key
    assert BlockValidator(VALIDATOR)._whole(line_of({**SPARSE, name: None})) is not None


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 4, 5, 97])
def test_a_block_is_looked_at_in_pieces_of_any_size(piece_bytes, monkeypatch):
    content = b"\n".join([GOOD_LINE, WITH_NULLS, WITH_NULLS.replace(b":null", b": null"), SHORT])
    whole = Structure.of(content)
    monkeypatch.setattr(block_structure, "_CACHED_BYTES", piece_bytes)
    for ended in (content, content + b"\n"):
        pieces = Structure.of(ended)
        assert (pieces.arrays, pieces.quotes, pieces.keys) == (whole.arrays, whole.quotes, whole.keys)
        assert pieces.objects.tolist() == whole.objects.tolist()
        assert pieces.nulls.tolist() == whole.nulls.tolist() != []


@pytest.mark.parametrize("lengths", [[], [0], [5], [5, 1], [1, 5, 5], [0, 0, 0, 0, 0, 0, 5], [5, 5, 0, 5]])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_length_of_lines(lengths, end):
    assert lines_within(b"\n".join(b"x" * length for length in lengths) + end, 5)
    for at in range(len(lengths) + 1):
        longer = [*lengths[:at], 6, *lengths[at:]]
        assert not lines_within(b"\n".join(b"x" * length for length in longer) + end, 5)


@given(hostile_lines())
def test_a_hostile_line_under_its_own_pattern(line):
    assert outcome(BlockValidator(VALIDATOR).validate(line)) == validate_records([line])


def test_what_a_pattern_passes_the_judge_takes_but_for_ranges():
    """Whatever matches is a record for the judge, or falls to a check that the columns repeat."""
    pattern = clean_line_pattern(FIELDS, key_order(GOOD_LINE))
    passed = 0

    @settings(max_examples=max(100, settings().max_examples))  # of fewer, hardly any passes
    @given(hostile_lines())
    def taken(line):
        nonlocal passed
        text = line.decode("utf-8", "replace")
        if pl.Series([text]).str.contains(pattern)[0]:
            passed += 1
            verdict = VALIDATOR(text.encode())
            assert isinstance(verdict, ValidRecord) or verdict.reason.startswith(
                ("missing_field", "out_of_range", "raw_identifier")
            )

    taken()
    assert passed >= 10, "of a hundred; else nothing was looked at"


def test_a_clean_block_never_meets_the_judge(monkeypatch):
    """Sparse, null, unknown, reordered fields included; else the columnar way would be for show."""
    variants = [
        TELEMETRY,
        {"event_id": "a", "worker_id": "w", "device_id": "dd", "event_time": 946684800000, "lat": 1, "lon": 1e-05},
        {**TELEMETRY, "bssids": [], "cell": None, "accel_var": 1.25e-07},
    ]
    extra = {"note": "x y", **TELEMETRY, "schema_version": 3}
    backwards = dict(reversed(TELEMETRY.items()))
    monkeypatch.setattr(RecordValidator, "__call__", lambda record_validator, line: pytest.fail(f"judged: {line!r}"))
    lines = [line_of(record) for record in variants * 100 + [extra] * 100 + [backwards] * 100]
    random.Random(1).shuffle(lines)
    assert BlockValidator(VALIDATOR).validate(b"\n".join(lines)).read == len(lines)


@pytest.mark.parametrize("spaced", ['{ "lat" : 1 , "lon" : 2 }', '{"lat": 1, "lon": 2}', ' {"lat":1,"lon":2} \r'])
def test_usual_spacing_is_clean(spaced):
    assert pl.Series([spaced]).str.contains(clean_line_pattern(FIELDS, ["lat", "lon"])).all()


def test_many_orders_of_keys_agree_too():
    chance = random.Random(7)
    lines = []
    for row in range(600):
        items = list(with_changes("telemetry", {"event_id": f"e{row}", "cell": ABSENT}).items())
        chance.shuffle(items)
        lines.append(line_of(dict(items[: 24 - row % 3])))
    assert outcome(BlockValidator(VALIDATOR).validate(b"\n".join(lines))) == validate_records(lines)


def test_polars_reads_numbers_to_the_last_bit():
    """The columnar way stands on it."""
    chance = random.Random(3)
    digits = ["".join(chance.choices("0123456789", k=chance.randint(1, 40))) for _ in range(20_000)]
    texts = [f"{chance.choice('-+')}{chance.randrange(10 ** chance.randint(1, 18))}.{d}".lstrip("+") for d in digits]
    texts += [f"{text}e{chance.randint(-99, 99)}" for text in texts]
    content = "\n".join(f'{{"lat":{text}}}' for text in texts).encode()
    parsed = pl.read_ndjson(content, schema={"lat": pl.Float64})["lat"].to_list()
    assert parsed == [float(text) for text in texts]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b" \n\n", b"\xef\xbb\xbf\n", b"\x01", b"\xff\n" + GOOD_LINE])
def test_odd_blocks(content):
    lines = content.split(b"\n")
    assert outcome(BlockValidator(VALIDATOR).validate(content)) == validate_records(lines)


PACKED = (b"x^", b"x\x01", b"x\x9c", b"x\xda", b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\x1f\x8b\x08\0", b"BZh9")
"""What streams of zlib, zstd, gzip and bzip2 begin with; the first is plain text."""


@pytest.mark.parametrize("start", PACKED)
@pytest.mark.parametrize("rest", [b"", b"\n" + GOOD_LINE, b" and so on\n" + GOOD_LINE + b"\n" + GOOD_LINE])
def test_a_block_that_begins_like_a_packed_stream_is_lines_all_the_same(start, rest):
    lines = (start + rest).split(b"\n")
    assert outcome(BlockValidator(VALIDATOR).validate(start + rest)) == validate_records(lines)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_lines_are_not_unpacked_unasked(pack):
    content = pack(GOOD_LINE + b"\n" + GOOD_LINE + b"\n")
    assert outcome(BlockValidator(VALIDATOR).validate(content)) == validate_records(content.split(b"\n"))


def test_an_unexpected_refusal_by_polars_falls_back_to_the_judge(monkeypatch):
    def refuse(*args, **kwargs):
        raise pl.exceptions.ComputeError("refused")

    monkeypatch.setattr(line_blocks.pl, "read_ndjson", refuse)
    assert outcome(BlockValidator(VALIDATOR).validate(GOOD_LINE)) == validate_records([GOOD_LINE])
