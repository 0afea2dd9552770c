"""The notebooks of the checkout: without outputs in git, run here, and shown in docs/gallery as they run."""

import io
import re

import nbformat
import pytest
from PIL import Image

from monsoon.cli.main import main
from monsoon.sources.files import InputError
from monsoon.workbench import CommandError, notebooks, run

NAMES = [path.stem for path in notebooks.notebook_paths()]
MAX_PICTURE_BYTES = 150_000
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@pytest.fixture(scope="module")
def gallery(root):
    return root / "docs" / "gallery"


def notebook_of(*sources, outputs=()):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for cell in cells:
        cell.outputs, cell.execution_count = list(outputs), 7
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "elsewhere", "display_name": "x"}})


@pytest.mark.parametrize("name", NAMES)
def test_git_has_no_outputs(name):
    (path,) = notebooks.notebook_paths([name])
    assert path.read_text(encoding="utf-8") == notebooks.stripped(notebooks.read_notebook(path)), (
        "run: ./monsoon notebooks --strip"
    )
    ids = [cell.id for cell in notebooks.read_notebook(path).cells]
    assert ids[0] == "question"
    assert ids[-3:] == ["answer-text", "answer", "picture"]


def test_a_stripped_notebook_says_nothing_of_who_ran_it():
    output = nbformat.v4.new_output("stream", name="stdout", text="secret")
    told = notebook_of("1 + 1", outputs=[output])
    told.cells[0].metadata = {"execution": {"started": "now"}}
    assert all(word in nbformat.writes(told) for word in ("secret", "started", "elsewhere", ": 7"))
    text = notebooks.stripped(told)
    assert not any(word in text for word in ("secret", "started", "elsewhere", ": 7"))
    assert nbformat.reads(text, as_version=4).cells[0].source == "1 + 1"


def test_the_gallery_has_a_page_of_each_and_no_other(gallery):
    assert sorted(path.stem for path in gallery.glob("*.md") if path.stem != "README") == sorted(NAMES)
    readme = (gallery / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"({name}.md)" not in readme or f"({name}-1.png)" not in readme] == []
    shown = {name for path in gallery.glob("*.md") for name in re.findall(r"\]\(([^)]+\.png)\)", path.read_text())}
    assert {path.name for path in gallery.glob("*.png")} == shown


@pytest.mark.parametrize("name", NAMES)
def test_a_page_ends_in_a_picture_worth_its_bytes(gallery, name):
    assert (gallery / f"{name}.md").read_text(encoding="utf-8").rstrip().endswith(f"({name}-1.png)")
    assert (gallery / f"{name}-1.png").stat().st_size < MAX_PICTURE_BYTES
    assert not is_blank((gallery / f"{name}-1.png").read_bytes())


def is_blank(png):
    picture = Image.open(io.BytesIO(png)).convert("L")
    background = max(count for count, _ in picture.getcolors())
    return background > 0.99 * picture.width * picture.height


def test_a_blank_picture_is_found():
    blank = io.BytesIO()
    Image.new("RGB", (300, 200), "white").save(blank, "PNG")
    assert is_blank(blank.getvalue())


@pytest.mark.parametrize("name", NAMES)
def test_every_number_in_prose_is_one_of_the_code_or_its_outputs(gallery, name):
    """A number that is typed into a sentence stays when the data changes."""
    page = (gallery / f"{name}.md").read_text(encoding="utf-8")
    (path,) = notebooks.notebook_paths([name])
    prose = "\n".join(cell.source for cell in notebooks.read_notebook(path).cells if cell.cell_type == "markdown")
    for text in notebooks.read_notebook(path).cells:
        if text.cell_type == "markdown":
            page = page.replace(text.source, "")
    there = {number.replace(",", "") for number in NUMBER.findall(page)} | set(re.findall(r"\d+", page))
    there |= {f"{float(each) * 100:g}" for each in there if "." in each}  # a share, as a percentage
    headings = re.sub(r"^# \d+\. ", "", prose, flags=re.M)
    assert [number for number in NUMBER.findall(headings) if number.replace(",", "") not in there] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_says_what_the_gallery_says(gallery, tmp_path, name):
    assert main(["notebooks", name, "--output", str(tmp_path)]) == 0
    said, kept = ((folder / f"{name}.md").read_text(encoding="utf-8") for folder in (tmp_path, gallery))
    assert said == kept, "run: ./monsoon notebooks --output docs/gallery, and look at what changes"
    assert not is_blank((tmp_path / f"{name}-1.png").read_bytes())
    (path,) = notebooks.notebook_paths([name])
    assert path.read_text(encoding="utf-8") == notebooks.stripped(notebooks.read_notebook(path))


def test_outputs_as_markdown():
    shown = [
        nbformat.v4.new_output("stream", name="stdout", text="two\nlines\n"),
        nbformat.v4.new_output("display_data", data={"text/markdown": "**so**", "text/plain": "<Markdown>"}),
        nbformat.v4.new_output("display_data", data={"text/html": "<table>", "text/plain": "| a |\n|---|\n| 1 |"}),
        nbformat.v4.new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure>"}),
        nbformat.v4.new_output("execute_result", data={"text/plain": "42"}),
    ]
    told = notebook_of("look()", outputs=shown)
    told.cells.insert(0, nbformat.v4.new_markdown_cell("# A title\n\nwords"))
    text, pictures = notebooks.markdown(told, "x")
    assert pictures == {"x-1.png": b"\0\0\0"}
    assert text == (
        "# A title\n\nwords\n\n```python\nlook()\n```\n\n```text\ntwo\nlines\n```\n\n**so**\n\n| a |\n|---|\n| 1 |\n\n"
        "![A title](x-1.png)\n\n```text\n42\n```\n"
    )


def test_a_page_that_is_written_again_leaves_no_earlier_picture(tmp_path):
    (tmp_path / "x-2.png").touch()
    (tmp_path / "y-1.png").touch()
    notebooks.write_gallery(notebook_of("1"), "x", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.md", "y-1.png"]


def test_a_name_that_is_none(capsys):
    assert main(["notebooks", NAMES[0].replace("-", "_"), "--strip"]) == 1
    assert f'did you mean "{NAMES[0]}"?' in capsys.readouterr().err


def test_no_checkout_no_notebooks(tmp_path):
    with pytest.raises(InputError, match="come with a checkout"):
        notebooks.notebook_paths(folder=tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "\ud800"])
def test_a_file_that_is_no_notebook(tmp_path, content):
    (tmp_path / "x.ipynb").write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(InputError, match=r"x\.ipynb: no notebook"):
        notebooks.read_notebook(tmp_path / "x.ipynb")


@pytest.mark.slow
def test_a_cell_that_fails_is_told_in_a_line():
    with pytest.raises(InputError, match=r"x: a cell failed: ZeroDivisionError: division by zero") as told:
        notebooks.execute(notebook_of("1 / 0"), "x")
    assert "\n" not in str(told.value)


def test_a_command_that_fails_stops_the_notebook():
    with pytest.raises(CommandError, match=r"no product .*did you mean \"kawaach\""):
        run("products explain kawach")
