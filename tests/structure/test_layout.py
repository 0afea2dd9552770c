"""Names, sizes and words: what lets a newcomer find a thing by its folder and file name."""

import ast
import re

DRAWERS = {"common", "helper", "helpers", "misc", "miscellaneous", "tools", "util", "utils"}
MAX_LINES = 400
LONGER: dict[str, str] = {}
"""Modules above MAX_LINES, each with the reason why it is better whole."""

SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|CREATE\s+(TABLE|VIEW)|DELETE\s+FROM|UPDATE\s.+\sSET)\b", re.S)


CONFLICT = re.compile(rb"^(<{7} |>{7} |\|{7} )", re.M)


def test_no_file_holds_the_marks_of_a_merge(root, tracked_files):
    """They are no error inside a docstring or a document."""
    assert [str(path) for path in tracked_files if CONFLICT.search((root / path).read_bytes())] == []


def test_no_module_is_a_drawer(tracked_files):
    wrong = [str(path) for path in tracked_files if DRAWERS & {part.split(".")[0] for part in path.parts}]
    assert wrong == []


def test_modules_are_short_or_say_why(modules):
    lines = {module.path.as_posix(): module.text.count("\n") for module in modules}
    assert {path: count for path, count in lines.items() if count > MAX_LINES and path not in LONGER} == {}
    assert {path for path in LONGER if lines.get(path, 0) <= MAX_LINES} == set(), "no longer long"


def test_every_module_says_what_it_is(modules):
    assert [str(module.path) for module in modules if not ast.get_docstring(module.tree)] == []


def test_every_folder_says_what_belongs_there(root, modules):
    """A package has an __init__ (it would not be installed otherwise), and its docstring is a sentence."""
    folders = {module.path.parent for module in modules}
    assert [str(folder) for folder in sorted(folders) if not (root / folder / "__init__.py").is_file()] == []
    docstrings = {str(m.path): ast.get_docstring(m.tree) or "" for m in modules if m.path.name == "__init__.py"}
    assert [path for path, words in docstrings.items() if len(words.split()) < 5] == []


def test_nothing_is_keyed_by_id(modules):
    """The id of an object that is gone may be that of another: a key is a name, or the object itself."""
    wrong = [
        module.at(node)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and node.id == "id"
    ]
    assert wrong == []


def test_sql_is_never_put_together_in_python(modules):
    wrong = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
                text = node.func.value.value if isinstance(node.func.value, ast.Constant) else ""
            else:
                continue
            if SQL.search(str(text)):
                wrong.append(module.at(node))
    assert wrong == []


def test_every_file_of_a_package_is_installed_with_it(root, tracked_files):
    """A checkout has them all: what is missing in package_data is missed in an installed Monsoon alone."""
    packages = {init.parent for init in tracked_files if init.name == "__init__.py" and init.parts[0] != "tests"}
    call = next(
        node
        for node in ast.walk(ast.parse((root / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "setup"
    )
    data = ast.literal_eval(next(keyword.value for keyword in call.keywords if keyword.arg == "package_data"))
    installed = {
        path.relative_to(root)
        for package, patterns in data.items()
        for pattern in patterns
        for path in (root / package.removeprefix("monsoon.").replace(".", "/")).glob(pattern)
    }
    others = {path for path in tracked_files if path.suffix != ".py" and packages.intersection(path.parents)}
    assert sorted(map(str, others - installed)) == []
