"""Nothing that decides may see a clock or chance (docs/adr/0003-time-and-determinism.md)."""

import ast
import re

FORBIDDEN_MODULES = {
    "locale",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
ALLOWED = {("transforms/scoring/forest.py", "os")}
"""Tells onnxruntime, before it is imported, to send nothing; reads nothing."""
FORBIDDEN_CALLS = {
    "date.today": "today's date",
    "datetime.now": "the wall clock",
    "datetime.today": "the wall clock",
    "datetime.utcnow": "the wall clock",
    "uuid.uuid1": "chance",
    "uuid.uuid4": "chance",
    "uuid1": "chance",
    "uuid4": "chance",
    "hash": "a hash that differs from process to process; use transforms/identifiers.py",
    "input": "the terminal",
    "print": "the terminal",
}


def _in_transforms(modules):
    return [module for module in modules if module.folder == "transforms"]


def test_transforms_import_nothing_of_the_process(modules):
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in _in_transforms(modules)
        for name, node in module.imports()
        if name.split(".")[0] in FORBIDDEN_MODULES and (module.path.as_posix(), name) not in ALLOWED
    ]
    assert wrong == []


def _without_hash_methods(tree):
    """The nodes outside of `__hash__`, of which only dictionaries and sets make use."""
    remaining = [tree]
    while remaining:
        node = remaining.pop()
        if not (isinstance(node, ast.FunctionDef) and node.name == "__hash__"):
            yield node
            remaining += ast.iter_child_nodes(node)


def test_transforms_call_neither_clock_nor_chance(modules):
    wrong = []
    for module in _in_transforms(modules):
        for node in _without_hash_methods(module.tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            for name, what in FORBIDDEN_CALLS.items():
                if called == name or ("." in name and called.endswith(f".{name}")):
                    wrong.append(f"{module.at(node)} uses {what}: {called}()")
            if "random" in called.split("."):
                wrong.append(f"{module.at(node)} uses chance: {called}()")
    assert wrong == []


POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+")


def test_no_group_is_possessive(modules):
    """Python before 3.11.5 goes on in the middle of a possessive group that failed: its verdicts would be its own."""
    assert POSSESSIVE_GROUP.search(r"(?:a,)*+")
    wrong = [
        f"{module.at(node)}: {node.value}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and POSSESSIVE_GROUP.search(_text(node.value))
    ]
    assert wrong == []


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""
