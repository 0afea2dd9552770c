"""The checkout's own Python files, parsed once for all rules."""

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.needs import need


@dataclass(frozen=True)
class Module:
    """One file of a package folder: its path below the root, its text, its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        return self.path.parts[0]

    def at(self, node: ast.AST) -> str:
        """``path:line``, as an editor understands it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def imports(self, nodes: list[ast.AST] | None = None) -> list[tuple[str, ast.AST]]:
        """Dotted names imported anywhere in the file (or by ``nodes``), each with its node."""
        found: list[tuple[str, ast.AST]] = []
        for node in ast.walk(self.tree) if nodes is None else nodes:
            if isinstance(node, ast.Import):
                found += [(alias.name, node) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                # `from monsoon import sources` names the folder only in its list of names.
                names = [f"monsoon.{alias.name}" for alias in node.names]
                found += [(name, node) for name in (names if node.module == "monsoon" else [str(node.module)])]
        return found

    def imports_on_load(self) -> list[tuple[str, ast.AST]]:
        """Dotted names imported when the file is: outside functions and outside ``if TYPE_CHECKING``."""
        nodes: list[ast.AST] = []
        todo: list[ast.AST] = list(self.tree.body)
        while todo:
            node = todo.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                todo += node.orelse
                continue
            nodes.append(node)
            todo += ast.iter_child_nodes(node)
        return self.imports(nodes)


@pytest.fixture(scope="session")
def modules(root: Path) -> list[Module]:
    """Every Python file of the package folders, in path order."""
    folders = sorted(init.parent for init in root.glob("*/__init__.py"))
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [
        Module(path.relative_to(root), text, ast.parse(text, str(path)))
        for path, text in zip(paths, texts, strict=True)
    ]


@pytest.fixture(scope="session")
def tracked_files(root: Path) -> list[Path]:
    """The files that git tracks, below the root; needs a git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    need(listed.returncode == 0, "not a git checkout, so there is no list of tracked files")
    return [Path(name) for name in listed.stdout.split("\0") if name and (root / name).is_file()]
