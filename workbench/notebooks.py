"""The notebooks of the checkout: run in a kernel, shown as Markdown with pictures, kept in git without outputs."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from monsoon.sinks.durable import replace_file
from monsoon.sources.files import InputError, first_line
from monsoon.transforms.documents import did_you_mean

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""All that a notebook in git says of itself: what Jupyter adds differs between machines."""
CELL_SECONDS = 900
"""A cell may take so long: such cells take ten seconds, but a machine may be busy."""
_POLARS_AS_MARKDOWN = {
    "POLARS_FMT_TABLE_FORMATTING": "ASCII_MARKDOWN",
    "POLARS_FMT_TABLE_HIDE_COLUMN_DATA_TYPES": "1",
    "POLARS_FMT_TABLE_HIDE_DATAFRAME_SHAPE_INFORMATION": "1",
    "POLARS_FMT_TABLE_CELL_NUMERIC_ALIGNMENT": "RIGHT",
    "POLARS_FMT_MAX_ROWS": "30",
    "POLARS_FMT_MAX_COLS": "20",
    "POLARS_FMT_STR_LEN": "80",
    "POLARS_TABLE_WIDTH": "400",
}
"""Tables as text are tables of Markdown then; Jupyter shows them as HTML either way."""


def notebook_paths(names: Sequence[str] = (), folder: Path = FOLDER) -> list[Path]:
    """The files of notebooks, by name without suffix (none: all), in the order of their numbers.

    Raises InputError for a name that none has, and where there are none at all: they are no part of an installation.
    """
    known = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    if not known:
        raise InputError("no notebooks", str(folder), "They come with a checkout; call ./monsoon of one")
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"no notebook {name!r}{hint}", str(folder), f"There are {', '.join(known)}")
    return [path for name, path in known.items() if not names or name in names]


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """The notebook in a file. Raises InputError where it is none of format 4."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError, nbformat.reader.NotJSONError) as error:
        raise InputError(
            f"no notebook ({first_line(error)})", str(path), "Take it from git again, or save it in Jupyter"
        ) from error
    return notebook


def stripped(notebook: nbformat.NotebookNode) -> str:
    """The text of the file that git keeps: cells without outputs, counts and metadata, as `ruff format` writes it."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict(METADATA)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def execute(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Runs every cell in a kernel of this Python, in a temporary folder that is removed afterwards; returns the
    notebook with outputs.

    Raises InputError with the error of the cell that failed.
    """
    with tempfile.TemporaryDirectory(prefix="monsoon-notebook-") as place:
        private = {"TMPDIR": place, "IPYTHONDIR": f"{place}/.ipython", "JUPYTER_RUNTIME_DIR": f"{place}/.jupyter"}
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            startup_timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": place}},
        )
        manager = client.create_kernel_manager()
        manager.transport, manager.connection_file = "ipc", f"{place}/kernel.json"  # no port that others could reach
        try:
            return client.execute(env={**os.environ, **_POLARS_AS_MARKDOWN, **private})
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:  # the last: none starts
            raise InputError(
                f"a cell failed: {_in_a_line(error)}", name, "Open it in Jupyter and run it to that cell"
            ) from error


def _in_a_line(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}".splitlines()[0]
    return first_line(error)


def write_gallery(notebook: nbformat.NotebookNode, name: str, folder: Path) -> None:
    """Writes `NAME.md` and its pictures `NAME-1.png`, ... into a folder, which is made where it is missing. Earlier
    pictures of that name are replaced, other files left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    text, pictures = markdown(notebook, name)
    for old in folder.glob(f"{name}-*.png"):
        if old.name not in pictures:
            old.unlink()
    for file, content in {**pictures, f"{name}.md": text.encode()}.items():
        replace_file(folder / file, content, folder / f".{file}")


def markdown(notebook: nbformat.NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """A run notebook as Markdown, and the pictures that it shows, by file name."""
    pictures: dict[str, bytes] = {}
    first = notebook.cells[0].source.partition("\n")[0] if notebook.cells else ""
    title = first[2:] if first.startswith("# ") else name
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            for output in cell.outputs:
                parts += _shown(output, title, name, pictures)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n", pictures


def _shown(output: Any, title: str, name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """What an output looks like in Markdown; a picture goes into `pictures`."""
    if output.output_type == "stream":
        yield f"```text\n{output.text.rstrip()}\n```"
        return
    data = output.data
    if "image/png" in data:
        file = f"{name}-{len(pictures) + 1}.png"
        pictures[file] = base64.b64decode(data["image/png"])
        yield f"![{title}]({file})"
    elif "text/markdown" in data:
        yield data["text/markdown"]
    elif data["text/plain"].startswith("|"):
        yield data["text/plain"]
    else:
        yield f"```text\n{data['text/plain']}\n```"
