"""Files that are no product's YAML, by accident or on purpose: one clear line, soon."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monsoon.sources.plain_yaml import MAX_BYTES, PlainYamlError, read_plain_yaml
from monsoon.sources.product_files import read_product
from monsoon.sources.provider_files import PROVIDER_FILES
from monsoon.sources.simulator.storm import STORM_FILES
from monsoon.sources.yaml_formats import FormatError
from monsoon.transforms.product import ProductError

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

HOSTILE = {
    "empty": (b"", r"^x\.yaml: the file is empty$"),
    "only a comment": (b"# nothing\n", r"^x\.yaml: the file is empty$"),
    "only nothing": (b"~\n", r"^x\.yaml:1: empty; a mapping is wanted here$"),
    "an alias bomb": (BOMB.encode(), r"^x\.yaml:\d+: more than 20,000 values$"),
    "an alias of itself": (b"a: &a [*a]\n", r"^x\.yaml:1: the alias \*a names nothing that stands before it$"),
    "an alias of nothing": (b"a: 1\nb: *c\n", r"^x\.yaml:2: .*alias"),
    "an alias as a name": (b"a: &a b\n*a : 1\n", r"^x\.yaml:2: a field's name is text, not an alias$"),
    "huge": (b"#" * (MAX_BYTES + 1), r"^x\.yaml: larger than 256 KiB"),
    "deep": (b"[" * 100_000, r"^x\.yaml:1: more than 32 levels deep$"),
    "deep by indentation": (
        "".join(" " * n + "a:\n" for n in range(300)).encode(),
        r"^x\.yaml:3\d: more than 32 levels deep$",
    ),
    "many": (b"a: [" + b"1," * 30_000 + b"]", r"^x\.yaml:1: more than 20,000 values$"),
    "a tab": (b"name: x\ntitle:\n\t- y\n", r"^x\.yaml:3: not YAML: .*cannot start any token"),
    "not UTF-8": (b"name: x\ntitle: caf\xe9\n", r"^x\.yaml:2: not UTF-8$"),
    "UTF-16": ("name: x\n".encode("utf-16"), r"^x\.yaml:1: not UTF-8$"),
    "a control character": (b"name: x\ntitle: a\x00b\n", r"^x\.yaml(:2)?: not YAML: .*(control|special) characters"),
    "a tag": (
        b"name: !!python/object:os.system x\n",
        r"^x\.yaml:1: the tag .*os\.system is no part of a file of this kind$",
    ),
    "a tagged list": (b"name: x\nplans: !!omap [a: 1]\n", r"^x\.yaml:2: the tag .* is no part of a file of this kind$"),
    "two documents": (b"name: x\n---\nname: y\n", r"^x\.yaml:2: a second document begins; a file of this kind is one$"),
    "a name twice": (b"name: x\ntitle: y\nname: z\n", r'^x\.yaml:3: the field "name" is there twice, first on line 1$'),
    "a deep name twice": (
        b"a:\n  b: 1\n  c: 2\n  b: 3\n",
        r'^x\.yaml:4: the field "b" is there twice, first on line 2$',
    ),
    "a list as a name": (b"[a, b]: 1\n", r"^x\.yaml:1: a field's name is text, not a list or a mapping$"),
    "infinity": (b"name: x\nzone_resolution: .inf\n", r"^x\.yaml:2: \.inf is no number"),
    "no number": (b"name: x\nzone_resolution: .NaN\n", r"^x\.yaml:2: \.NaN is no number"),
    "beyond numbers": (b"name: x\nzone_resolution: 1e999\n", r"^x\.yaml:2: 1e999 is no number"),
    "unfinished": (b"name: [a, b\n", r"^x\.yaml:\d: not YAML: while parsing a flow sequence; "),
    "no YAML": (b"name: 'x\n", r"^x\.yaml:\d: not YAML: while scanning a quoted scalar; "),
    "a merge": (b"a: &a {b: 1}\n<<: *a\n", r'unknown field "<<"'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_clear_line(name):
    content, words = HOSTILE[name]
    with pytest.raises(ProductError) as refused:
        read_product(content, "x.yaml")
    assert any(re.search(words, fault) for fault in refused.value.faults), refused.value.faults
    assert all("\n" not in fault for fault in refused.value.faults)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("parse", [STORM_FILES.parse, PROVIDER_FILES.parse], ids=["storm", "provider"])
def test_other_formats_have_the_same_limits(parse, name):
    content, words = HOSTILE[name]
    with pytest.raises(FormatError) as refused:
        parse(content, where="x.yaml")
    faults = refused.value.faults or (str(refused.value).removesuffix(". Mend that line."),)
    assert any(re.search(words, fault) for fault in faults), faults
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("load", [STORM_FILES.load, PROVIDER_FILES.load], ids=["storm", "provider"])
def test_no_more_of_a_file_is_read_than_tells_that_it_is_too_large(tmp_path, load):
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(FormatError, match="larger than 256 KiB"):
        load(str(path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("75", 75),
        ("-3", -3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("2e-4", 2e-4),
        ("true", True),
        ("null", None),
        ("", None),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("'75'", "75"),
        ("2026-04-01", "2026-04-01"),
        ("2026-04-01T00:00:00+05:30", "2026-04-01T00:00:00+05:30"),
        ("= 1", "= 1"),
        ("9" * 30, float("9" * 30)),
        ("12e4", 12e4),
    ],
)
def test_plain_values(text, value):
    assert read_plain_yaml(f"a: {text}\n".encode()).value == {"a": value}


def test_names_are_always_text():
    """An H3 cell of digits alone, or one that looks like a number, is a name as it stands."""
    assert read_plain_yaml(b"872830828: a\n8e10: b\ntrue: c\n").value == {"872830828": "a", "8e10": "b", "true": "c"}


def test_lines_are_those_of_names_and_items():
    root = read_plain_yaml(b"\xef\xbb\xbfa:\n  - b: 1\n    c:\n      - x\n      - y\n  - {d: 2}\n")
    assert [root.line_of(path) for path in [(), ("a",), ("a", 0), ("a", 0, "c"), ("a", 0, "c", 1), ("a", 1, "d")]] == [
        1,
        1,
        2,
        3,
        5,
        6,
    ]
    assert root.line_of(("a", 0, "zz")) == 2
    assert root.line_of(("zz", 3)) == 1


def test_what_an_alias_repeats_stands_where_it_was_said():
    root = read_plain_yaml(b"a: &x\n  b: 1\nc: *x\n")
    assert root.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert [root.line_of(("c",)), root.line_of(("c", "b"))] == [3, 2]


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=8) | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSONISH, st.booleans())
def test_what_is_dumped_is_read(value, flow):
    """Against PyYAML's writer, which quotes all text that could be something else."""
    text = yaml.safe_dump(value, default_flow_style=flow)
    assert read_plain_yaml(text.encode()).value == value


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?~ \t\n0.", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        read_plain_yaml(text.encode())
    except PlainYamlError as error:
        problem = error.problem
    else:
        return
    assert re.search(r"\w", problem)
