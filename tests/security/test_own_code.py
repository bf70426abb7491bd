"""A search space, or results, from others run none of their code unless the user says so."""

import shutil
import sys

import pytest
import torch

from handsigns.cli import main
from handsigns.config.load import load_study
from handsigns.data.dataset import open_data
from handsigns.models.user_loader import find_own_code
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search
from handsigns.results.trial import Placement, Session
from handsigns.training.train import TrainingPlan, fit, start
from tests.support.records import make_spec

MODULE = """
import pathlib
pathlib.Path({marker!r}).touch()
from torch import nn
from tests.support.records import make_spec

def net(config, classes, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))

def loss(logits, labels, config):
    return nn.functional.cross_entropy(logits, labels)
"""
SPACE = """
space:
  architecture: evil:net
  loss: evil:loss
  learning_rate: {type: log_uniform, low: 1e-3, high: 1e-2}
budget: {trials: 2, max_epochs: 2}
"""
PARAMS = {"architecture": "evil:net", "loss": "evil:loss", "learning_rate": 1e-3}
REFUSED = (
    ("replay", "theirs", "0000"),
    ("retrain", "theirs"),
    ("test", "theirs"),
    ("predict", "theirs", "bands/test/high/0.png"),
    ("resume", "theirs", "--trials", "3"),
)
HARMLESS = (
    ("leaderboard", "theirs"),
    ("list",),
    ("watch", "theirs", "--once"),
    ("search", "tiny.yaml", "--data", "bands", "--size", "16", "--warm-start", "theirs",
     "--dry-run"),
)  # fmt: skip


@pytest.fixture
def planted(place, monkeypatch):
    """A search space with code beside it that leaves a marker each time it is loaded."""
    monkeypatch.chdir(place.root)
    monkeypatch.setenv("HANDSIGNS_CACHE", place.environment["HANDSIGNS_CACHE"])
    marker = place.root / "ran"
    marker.unlink(missing_ok=True)
    (place.root / "evil.py").write_text(MODULE.format(marker=str(marker)))
    (place.root / "evil.yaml").write_text(SPACE)
    shutil.rmtree(place.root / "results", ignore_errors=True)
    threads = torch.get_num_threads()
    yield place, marker
    torch.set_num_threads(threads)  # commands that train choose their own number


def command(*arguments: str) -> int:
    """Carry out a command as a fresh process would, in which none of the code is loaded yet."""
    for name in [name for name in sys.modules if name.startswith("handsigns_own_")]:
        del sys.modules[name]
    return main(arguments)


def trained(place, name: str) -> None:
    """Results of a search with one trial, trained as a search would, without Ray."""
    study = load_study(place.root / "evil.yaml")
    own = find_own_code(["evil"], [place.root])
    data = open_data(place.root / "bands", size=16)
    paths = SearchPaths(place.root / "results" / name)
    begin_search(paths, study, DataRecord(data.info, data.info.source, 16, False), None, own)
    journal = Journal(paths.journal, writable=True)
    journal.open_session(Session(data.info.fingerprint, describe_environment(own)))
    record = journal.start(make_spec("0000", PARAMS))
    torch.set_num_threads(1)
    plan = TrainingPlan(record.config, 3, 16, 2, record.seed, torch.device("cpu"), own)
    for metrics in fit(start(plan), data.train, data.val):
        journal.report("0000", metrics, Placement("here/1", "cpu", 1))
    journal.end("0000", "completed")
    journal.close()


def test_a_search_space_runs_nothing(planted, capsys):
    _, marker = planted
    for name in ("search", "run"):
        assert command(name, "evil.yaml", "--data", "bands", "--size", "16") == 2
        told = capsys.readouterr().err
        assert "evil:net, evil:loss would run the code of evil.py" in told
        assert "--own-code" in told
    assert not marker.exists()
    asked = ("search", "evil.yaml", "--data", "bands", "--size", "16", "--dry-run", "--own-code")
    assert command(*asked) == 0
    assert marker.exists(), "with leave it runs"


@pytest.mark.parametrize("there", [True, False])
def test_results_run_nothing(planted, there, capsys):
    """Whether or not there is a file of the name that the results were made with."""
    place, marker = planted
    trained(place, "theirs")
    assert command("retrain", "theirs", "--seeds", "1", "--own-code") == 0
    if not there:
        (place.root / "evil.py").unlink()
    marker.unlink()
    for arguments in REFUSED:
        capsys.readouterr()
        assert command(*arguments) == 2, arguments
        told = capsys.readouterr().err
        assert "would run the code of " in told, arguments
        assert "evil" in told
        assert "add --own-code" in told
        assert not marker.exists(), arguments
    for arguments in HARMLESS:
        assert command(*arguments) == 0, arguments
        assert not marker.exists(), arguments
    for arguments in REFUSED[:-1]:
        assert command(*arguments, "--own-code") == 0, arguments
        assert marker.exists(), "with leave it runs"
        marker.unlink()


def test_kept_code_that_was_altered_is_not_run(planted, capsys):
    place, marker = planted
    trained(place, "theirs")
    (kept,) = (place.folder("theirs") / "own_code").iterdir()
    kept.write_text(kept.read_text() + "\n")
    marker.unlink(missing_ok=True)
    assert command("replay", "theirs", "0000", "--own-code") == 2
    assert "is not the code that was run" in capsys.readouterr().err
    assert not marker.exists()


def test_results_use_the_code_that_was_run(planted, capsys):
    place, _ = planted
    trained(place, "mine")
    (place.root / "evil.py").write_text("1 / 0\n")
    assert command("replay", "mine", "0000", "--own-code") == 0
    assert "identical: trial 0000" in capsys.readouterr().out
    assert command("resume", "mine", "--trials", "3", "--own-code") == 2
    told = capsys.readouterr().err
    assert "what mine was run with has changed: your evil was " in told
    assert "--accept-changed-code" in told
    changes = ("--own-code", "--accept-changed-code")
    assert command("resume", "mine", "--trials", "3", *changes) == 2
    told = capsys.readouterr().err
    assert "evil.py, line 1: evil failed: ZeroDivisionError" in told
    (place.root / "evil.py").unlink()
    assert command("retrain", "mine", "--seeds", "1", "--own-code") == 0
    assert command("predict", "mine", "bands/test/high/0.png", "--own-code") == 0
    assert "high" in capsys.readouterr().out
