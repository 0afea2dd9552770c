"""Every path, symbol, option and command that the documents name in backticks is there.

A name stands for something if it is a tracked file or folder (or the end of its path), or if code, a contract, a
product or a storm file has it as a name or a string of its own; a comment or a docstring does not count, since that is
where a name lives on after its thing is gone.
"""

import ast
import json
import re
from collections.abc import Iterator

import pytest
import yaml

from monsoon.cli.main import COMMANDS

CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FILE = re.compile(
    r"[\w@.*-]+(?:/[\w@.*-]+)*\.(?:py|md|yaml|yml|json|jsonl|csv|txt|sql|toml|onnx|npy|properties|log|gz)"
)
FOLDER = re.compile(r"(?:[\w.-]+/)+")
SYMBOL = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?")
UID = re.compile(r"[a-z]+(?:-[a-z0-9]+)+")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
COMMAND = re.compile(r"(?:\./)?monsoon ([a-z]+(?:-[a-z]+)*)")

PLACEHOLDER = re.compile(r"[A-Z]{3,}")

ELSEWHERE = {
    ".venv": "made by ./monsoon",
    "_stream_key_by_map_operator": "PyFlink's",
    "bin/flink": "in the package apache-flink",
    "nodes_missing_value_tracks_true": "ONNX's",
    "write-claims": "one uid a stream",
}
"""Names of things that are not in the checkout, each with whose they are."""


def texts_of(root, tracked_files):
    """The documents for people; the changelog tells of what was."""
    for path in tracked_files:
        if path.suffix == ".md" and (path.parts[0] == "docs" or path.as_posix() in ("README.md", "CONTRIBUTING.md")):
            yield path.as_posix(), (root / path).read_text(encoding="utf-8")


def spans(text: str) -> Iterator[tuple[int, str]]:
    """Line and content of what stands in backticks, and of each call of monsoon in a block of code."""
    for number, line in enumerate(text.splitlines(), 1):
        if call := re.match(r"(?: {4}|\t)((?:\./)?monsoon [^#]*)", line):
            yield number, call[1].strip()
    prose = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)
    for span in CODE_SPAN.finditer(prose):
        yield prose.count("\n", 0, span.start()) + 1, " ".join(span[2].split())


def words_of_python(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        for attribute in ("id", "attr", "arg", "name", "module", "asname"):
            if isinstance(value := getattr(node, attribute, None), str):
                yield value


def words_of_data(value) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from words_of_data(each)
    elif isinstance(value, list):
        for each in value:
            yield from words_of_data(each)
    else:
        yield str(value)


@pytest.fixture(scope="module")
def strings(root, tracked_files):
    """Every name and string of the code and its data."""
    found = set()
    for path in tracked_files:
        if path.parts[0] == "tests" or path.suffix == ".md":
            continue
        file = root / path
        if path.suffix == ".py":
            found.update(words_of_python(file.read_text(encoding="utf-8")))
        elif path.suffix in (".json", ".yaml"):
            text = file.read_text(encoding="utf-8")
            found.update(words_of_data(json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)))
        elif path.suffix in (".toml", ".sql") or path.name in ("monsoon", "run"):
            found.update(re.findall(r"[\w.-]+", file.read_text(encoding="utf-8")))
    return found


@pytest.fixture(scope="module")
def names(strings, tracked_files):
    """The words of them, and what contracts and the like are called by their files."""
    stems = {path.name.partition(".")[0] for path in tracked_files if path.parts[0] != "tests"}
    return stems | {word for text in strings for word in WORD.findall(text)}


@pytest.fixture(scope="module")
def places(tracked_files):
    """Tracked files and their folders, and every end of their paths."""
    paths = {path for file in tracked_files for path in (file, *file.parents)}
    return {"/".join(path.parts[start:]) for path in paths for start in range(len(path.parts))}


class Checker:
    """Says of a span what is named in it and is not there."""

    def __init__(self, strings, names, places, top=()):
        self.names, self.places, self.top = names, places, top
        self.told = {part for text in strings for part in re.split(r"[\s,;:()`'\"<>=]+", text)}

    def missing(self, span: str) -> str | None:
        if span in ELSEWHERE or span.rstrip("/") in ELSEWHERE:
            return None
        if command := COMMAND.match(span):
            return self.options(span) or (None if command[1] in COMMANDS else f"no command {command[1]!r}")
        if span.startswith("--"):
            return self.options(span)
        if FILE.fullmatch(span) or FOLDER.fullmatch(span):
            return None if self.place(span) else f"no file or folder {span!r}"
        if SYMBOL.fullmatch(span):
            return self.symbol(span)
        if UID.fullmatch(span):
            return None if span in self.told else f"nothing is called {span!r}"
        lost = [word for word in span.split() if word.endswith(".py") and FILE.fullmatch(word) and not self.place(word)]
        return f"no file {lost[0]!r}" if lost else None

    def place(self, span):
        """A file or folder of the checkout, or one that the code makes: each part of its path is a string of it."""
        bare = span.rstrip("/")
        made = bare.split("/")[0] not in self.top
        if bare in self.places or (made and all(part in self.told for part in bare.split("/"))):
            return True
        if not PLACEHOLDER.search(bare) and "*" not in bare:
            return False
        pattern = re.compile(".+".join(map(re.escape, re.split(r"[A-Z]{3,}|\*", bare))))
        pieces = [piece for part in bare.split("/") for piece in re.split(r"[A-Z]{3,}|\*", part) if piece]
        return any(map(pattern.fullmatch, self.places)) or (made and all(piece in self.told for piece in pieces))

    def options(self, span):
        unknown = [option for option in OPTION.findall(span) if option not in self.told]
        return f"no option {unknown[0]}" if unknown else None

    def symbol(self, span):
        words = span.removesuffix("()").split(".")
        if len(words) == 1 and not span.endswith("()") and not looks_like_code(span):
            return None
        unknown = [word for word in words if word not in self.names]
        return f"no name {unknown[0]!r}" if unknown else None


def looks_like_code(word: str) -> bool:
    """Two words in one: snake_case, CamelCase, or a constant; a single plain word may be a value of anything."""
    return "_" in word.strip("_") or bool(re.search(r"[a-z][A-Z]|^[A-Z][a-z]+[A-Z]", word)) or word.isupper()


@pytest.fixture(scope="module")
def checker(strings, names, places, tracked_files):
    return Checker(strings, names, places, {path.parts[0] for path in tracked_files if len(path.parts) > 1})


def test_what_documents_name_is_there(root, tracked_files, checker):
    wrong = [
        f"{path}:{line}: `{span}`: {missing}"
        for path, text in texts_of(root, tracked_files)
        for line, span in spans(text)
        if (missing := checker.missing(span))
    ]
    assert "\n".join(wrong) == ""


def test_names_from_elsewhere_are_still_needed(root, tracked_files):
    named = {span.rstrip("/") for _, text in texts_of(root, tracked_files) for _, span in spans(text)}
    assert sorted(ELSEWHERE.keys() - named) == []


@pytest.mark.parametrize(
    "span",
    [
        "adjudication/tiers.py",
        "transforms/nowhere/",
        "docs/nothing.md",
        "nowhere.yaml",
        "TriggerEngine",
        "RiderMachine.decide_everything",
        "measure_nothing()",
        "MOST_NOTHING",
        "judge-nothing",
        "./monsoon fly --input x",
        "monsoon replay --inputs x",
        "--nothing-of-the-kind",
        "see adjudication/tiers.py for it",
    ],
)
def test_what_is_not_there_is_found(checker, span):
    assert checker.missing(span)


@pytest.mark.parametrize(
    "span",
    [
        "docs/flink.md",
        "pipelines/flink/graph.py",
        "graph.py",
        "transforms/",
        "tests/golden/state-VERSION/",
        "*.jsonl",
        "summary.json",
        "oracle_readings/",
        "RiderMachine",
        "adjudicate-claims",
        "./monsoon replay --input runs/delhi",
        "--resume",
        "approved",
        "2^-14",
    ],
)
def test_what_is_there_is_left_in_peace(checker, span):
    assert checker.missing(span) is None


def test_a_rename_is_found(strings, names, places):
    """What a document names is looked for as a name: without it, its mentions in text do not hide the gap."""
    renamed = Checker(strings, names - {"TriggerMachine"}, places - {"triggers/machine.py"})
    assert renamed.missing("TriggerMachine")
    assert renamed.missing("triggers/machine.py")
