"""Example notebook, executed in a kernel with a real Ray."""

import os
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

pytestmark = [pytest.mark.ray, pytest.mark.long]


def test_the_example_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "whole_flow.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    variables = {"PYTHONPATH": str(EXAMPLES.parent), "HANDSIGNS_CACHE": str(tmp_path / "cache")}
    client = nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3")
    client.execute(cwd=str(tmp_path), env=os.environ | variables)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = ["\n".join(map(text_of, cell.outputs)) for cell in code]
    search = texts[1]
    assert "4/4 trials" in search, search
    assert "best: trial 000" in search
    assert "Traceback" not in search
    assert "learning_rate" in texts[2]
    prediction = eval(texts[-2])
    assert prediction[1] in prediction[2]
    accuracy, (low, high) = eval(texts[-1])
    assert low <= accuracy <= high


def text_of(output) -> str:
    return output.get("text") or output.get("data", {}).get("text/plain", "")
