"""The notebooks run, and what is stored in them is what they say when they run.

After a change of the package, of a scenario or of a notebook, store the outputs again:
``python tests/notebooks/test_notebooks.py``
"""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
A_PATH_OF_A_MACHINE = re.compile(r"/root/|/home/|/tmp/|/Users/|/var/folders/|/private/|\b[A-Z]:\\")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
MOST_BYTES = 1_500_000

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def executed(path):
    """Return a notebook as a fresh kernel runs it, with the package beside it; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False, resources=where)
    client.execute(env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])})
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def sentences(notebook):
    """Return all that is printed or told in Markdown; tables of pandas look different in each version of pandas."""
    return [
        out.text if out.output_type == "stream" else out.data["text/markdown"]
        for cell in code_cells(notebook)
        for out in cell.outputs
        if out.output_type == "stream" or "text/markdown" in out.data
    ]


def numbers(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_outputs_are_stored(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
    assert sentences(notebook)
    assert path.stat().st_size < MOST_BYTES


@each_notebook
def test_stored_outputs_hold_no_errors_or_warnings(path):
    for cell in code_cells(nbformat.read(path, as_version=4)):
        assert [out for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"] == []


@each_notebook
def test_nothing_of_the_machine_is_stored(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata == METADATA
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert not A_PATH_OF_A_MACHINE.search(cell.source)
    for cell in code_cells(notebook):
        for out in cell.outputs:
            words = [str(data) for kind, data in out.get("data", {}).items() if not kind.startswith("image/")]
            assert not A_PATH_OF_A_MACHINE.search(" ".join([out.get("text", ""), *words]))


@each_notebook
def test_a_fresh_kernel_says_what_is_stored(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # no start-up files of the user
    fresh = executed(path)
    for cell in code_cells(fresh):
        assert [out for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"] == []
    hint = "the stored outputs are old: run python tests/notebooks/test_notebooks.py"
    stored = sentences(nbformat.read(path, as_version=4))
    assert len(sentences(fresh)) == len(stored), hint
    for said, was in zip(sentences(fresh), stored, strict=True):
        assert NUMBER.sub("#", said) == NUMBER.sub("#", was), hint
        assert numbers(said) == pytest.approx(numbers(was), rel=0.02, abs=0.11), hint


if __name__ == "__main__":
    for notebook_path in NOTEBOOKS:
        nbformat.write(executed(notebook_path), notebook_path)
        print(f"stored: {notebook_path.relative_to(ROOT)}")
