"""Live display in a real notebook kernel."""

import pytest

CELL = """
import sys
from pathlib import Path
from handsigns.config.validate import validate_search_config
from handsigns.policy.stopping import StoppingCriteria
from handsigns.monitor.live import SearchDisplay
from handsigns.results.journal import Journal
from handsigns.results.trial import Placement, TrialSpec
from handsigns.config.hyperparameters import TrialConfig
from handsigns.console.capture import redirect_output
from handsigns.metrics import EpochMetrics

root = Path({root!r})
space = {{"learning_rate": {{"type": "log_uniform", "low": 1e-4, "high": 1e-1}}}}
search_config, _ = validate_search_config({{"space": space, "budget": {{"trials": 2}}}})
journal = Journal(root / "journal.jsonl", writable=True)
import os, logging
for number in range(2):  # a second search in the same kernel
    with redirect_output(root / "log") as terminal:
        display = SearchDisplay(terminal, search_config, journal, StoppingCriteria(search_config))
        print("Python's own output")
        os.system("echo of a child process")
        logging.basicConfig(level=logging.INFO)
        logging.info("a library's message")
        display.print_message("two trials at a time")
        with display.live_view():
            params = {{"learning_rate": 0.01}}
            config = TrialConfig.from_params(params)
            journal.start_trial(TrialSpec(f"000{{number}}", params, config, seed=1))
            metrics = EpochMetrics(1, 0.1, 0.2, 0.3, 0.75, 0.75, 0.01, 1.0)
            journal.report_epoch(f"000{{number}}", metrics, Placement("<b>x</b>", "cpu", 1))
            display.on_epoch(journal[f"000{{number}}"])
            display.on_trial_end(journal.end_trial(f"000{{number}}", "completed"))
print("after it")
"""


@pytest.mark.slow
def test_notebook_shows_only_the_live_display(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    code = nbformat.v4.new_code_cell(CELL.format(root=str(tmp_path)))
    notebook = nbformat.v4.new_notebook(cells=[code])
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    blocks = [o.data for o in outputs if "trials" in o.get("data", {}).get("text/html", "")]
    lines = "".join(o.text for o in outputs if o.output_type == "stream")
    shown = "\n".join(data["text/plain"] for data in blocks)
    assert "1/2 trials" in shown, outputs
    assert "best: trial 0000" in shown
    assert "val_accuracy 75.00%" in shown
    assert "<pre" in blocks[0]["text/html"]
    assert lines.split() == ["after", "it"], lines
    log = (tmp_path / "log").read_text()
    for noise in ("Python's own output", "of a child process", "a library's message"):
        assert log.count(noise) == 2, log
