"""Decision records: their form, one decision each, and where readings of the text are told."""

import re

import pytest

RECORD = re.compile(r"\d{4}-[a-z0-9-]+\.md")
STATUS = re.compile(r"Status: (proposed|accepted|superseded by \[(\d+)\]\((\d{4}-[a-z0-9-]+\.md)\))(\.( .*)?)?")
MAX_DECISION_LINES = 30
"""A decision that takes more is several, or explains how something works, which belongs to another document."""


@pytest.fixture(scope="module")
def records(root):
    """Text by file name, in order."""
    folder = root / "docs" / "adr"
    return {
        path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md")) if path.name != "README.md"
    }


def decision(text):
    return re.split(r"^## .*$", text, flags=re.M)[2].strip()


def test_records_are_numbered_in_one_row_and_listed_with_their_titles(root, records):
    assert [name for name in records if not RECORD.fullmatch(name)] == []
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    readme = (root / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((\d{4}-[^)]+)\)$", readme, re.M)
    titles = [re.match(r"# (\d+)\. (.+)\n", text) for text in records.values()]
    assert listed == [(title[1], title[2], name) for title, name in zip(titles, records, strict=True)]


def test_a_record_has_a_status_a_context_a_decision_and_consequences(records):
    for name, text in records.items():
        lines = text.splitlines()
        assert lines[1:5:2] == ["", ""], name
        assert STATUS.fullmatch(lines[2]), f"{name}: {lines[2]}"
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences"], name


def test_a_superseded_record_names_one_that_names_it(records):
    for name, text in records.items():
        status = STATUS.fullmatch(text.splitlines()[2])
        if status[3] is not None:
            assert int(status[2]) == int(status[3][:4]) > int(name[:4]), name
            assert name in records[status[3]], f"{status[3]} does not say that it supersedes {name}"


def test_a_record_is_one_decision(records):
    """It says itself in a sentence or two before any detail; further headings would be further decisions."""
    for name, text in records.items():
        decided = decision(text)
        assert decided[0] not in "-*|#", f"{name}: the decision begins with a list"
        assert "**" not in decided, f"{name}: several decisions under bold heads"
        assert not re.search(r"^\|", decided, re.M), f"{name}: a table is no decision"
        assert decided.count("\n") < MAX_DECISION_LINES, f"{name}: {decided.count(chr(10)) + 1} lines"


def test_readings_of_the_text_and_the_modules_that_decide_name_each_other(root):
    text = (root / "docs" / "interpretations.md").read_text(encoding="utf-8")
    sections = {section.splitlines()[0]: section for section in re.split(r"^## ", text, flags=re.M)[1:]}
    for title, section in sections.items():
        where = re.search(r"^Decided in (.+?)\.(?: |$)", section, re.M)
        assert where, f"{title}: not said where it is decided"
        mention = f"docs/interpretations.md#{title.lower().replace(' ', '-')}"
        for path in re.findall(r"`([^`]+)`", where[1]):
            assert mention in (root / path).read_text(encoding="utf-8"), f"{path} does not mention {mention}"


def test_what_code_says_of_records_and_readings_is_there(root, tracked_files):
    anchors = {
        f"docs/{path.name}#{re.sub(r'[^a-z0-9 -]', '', title.lower()).replace(' ', '-')}"
        for path in (root / "docs").glob("*.md")
        for title in re.findall(r"^##+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    }
    wrong = []
    for path in tracked_files:
        if path.suffix == ".py" and path.parts[0] != "tests":
            for target in re.findall(r"docs/[\w./-]+\.md(?:#[\w-]+)?", (root / path).read_text(encoding="utf-8")):
                there = target in anchors if "#" in target else (root / target).is_file()
                wrong += [] if there else [f"{path}: {target}"]
    assert wrong == []
