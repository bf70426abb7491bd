"""Search spaces and results of others run no user code without --trust-user-code."""

import shutil
import sys

import pytest
import torch

from handsigns.cli import main
from handsigns.cluster.session import ray_session
from handsigns.config.load import load_search_config
from handsigns.data.dataset import open_data
from handsigns.models.user_loader import find_user_code
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, create_search
from handsigns.results.trial import Placement, Session
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs
from tests.support.records import make_spec

MODULE = """
import pathlib
pathlib.Path({marker!r}).touch()
from torch import nn

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
REJECTED = (
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


@pytest.fixture(scope="module")
def shared_ray():
    """Connect this process to a Ray that all retrainings use."""
    with ray_session(None, 2**26, preload=("ray.tune",)):
        yield


@pytest.fixture
def planted(workspace, monkeypatch):
    """Write a search space and user code that creates a marker file when loaded."""
    monkeypatch.chdir(workspace.root)
    monkeypatch.setenv("HANDSIGNS_CACHE", workspace.environment["HANDSIGNS_CACHE"])
    marker = workspace.root / "ran"
    marker.unlink(missing_ok=True)
    (workspace.root / "evil.py").write_text(MODULE.format(marker=str(marker)))
    (workspace.root / "evil.yaml").write_text(SPACE)
    shutil.rmtree(workspace.root / "results", ignore_errors=True)
    threads = torch.get_num_threads()
    yield workspace, marker
    torch.set_num_threads(threads)  # training commands set their own number


def command(*arguments: str) -> int:
    """Run a command as a new process would, without user code already loaded."""
    for name in [name for name in sys.modules if name.startswith("handsigns_user_")]:
        del sys.modules[name]
    return main(arguments)


def write_search(workspace, name: str) -> None:
    """Write the results of a search with one trial, trained without Ray."""
    config = load_search_config(workspace.root / "evil.yaml")
    user_code = find_user_code(["evil"], [workspace.root])
    data = open_data(workspace.root / "bands", size=16)
    paths = SearchPaths(workspace.root / "results" / name)
    create_search(
        paths, config, DataRecord(data.info, data.info.source, 16, False), None, user_code
    )
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session(data.info.fingerprint, describe_environment(user_code)))
    record = journal.start_trial(make_spec("0000", PARAMS))
    torch.set_num_threads(1)
    plan = TrainingPlan(record.config, 3, 16, 2, record.seed, torch.device("cpu"), user_code)
    for metrics in train_epochs(init_state(plan), data.train, data.val):
        journal.report_epoch("0000", metrics, Placement("here/1", "cpu", 1))
    journal.end_trial("0000", "completed")
    journal.close()


def test_search_space_runs_no_code_by_default(planted, capsys):
    _, marker = planted
    for name in ("search", "run"):
        assert command(name, "evil.yaml", "--data", "bands", "--size", "16") == 2
        errors = capsys.readouterr().err
        assert "evil:net, evil:loss would run the code in evil.py" in errors
        assert "--trust-user-code" in errors
    assert not marker.exists()
    arguments = ("--data", "bands", "--size", "16", "--dry-run", "--trust-user-code")
    assert command("search", "evil.yaml", *arguments) == 0
    assert marker.exists(), "trusted code runs"


@pytest.mark.ray
@pytest.mark.parametrize("file_exists", [True, False])
def test_results_run_no_code_by_default(planted, shared_ray, file_exists, capsys):
    """Also if the user's own folder has a file of that name."""
    workspace, marker = planted
    write_search(workspace, "theirs")
    assert command("retrain", "theirs", "--seeds", "1", "--trust-user-code") == 0
    if not file_exists:
        (workspace.root / "evil.py").unlink()
    marker.unlink()
    for arguments in REJECTED:
        capsys.readouterr()
        assert command(*arguments) == 2, arguments
        errors = capsys.readouterr().err
        assert "would run the code in " in errors, arguments
        assert "evil" in errors
        assert "add --trust-user-code" in errors
        assert not marker.exists(), arguments
    for arguments in HARMLESS:
        assert command(*arguments) == 0, arguments
        assert not marker.exists(), arguments
    for arguments in REJECTED[:-1]:
        assert command(*arguments, "--trust-user-code") == 0, arguments
        assert marker.exists(), "trusted code runs"
        marker.unlink()


def test_altered_copy_of_user_code_is_not_run(planted, capsys):
    workspace, marker = planted
    write_search(workspace, "theirs")
    (copy,) = (workspace.folder("theirs") / "user_code").iterdir()
    copy.write_text(copy.read_text() + "\n")
    marker.unlink(missing_ok=True)
    assert command("replay", "theirs", "0000", "--trust-user-code") == 2
    assert "differs from the code that was run" in capsys.readouterr().err
    assert not marker.exists()


@pytest.mark.ray
def test_results_use_their_copy_of_the_code(planted, shared_ray, capsys):
    workspace, _ = planted
    write_search(workspace, "mine")
    (workspace.root / "evil.py").write_text("1 / 0\n")
    assert command("replay", "mine", "0000", "--trust-user-code") == 0
    assert "identical: trial 0000" in capsys.readouterr().out
    assert command("resume", "mine", "--trials", "3", "--trust-user-code") == 2
    errors = capsys.readouterr().err
    assert "the environment of mine has changed: your evil was " in errors
    assert "--accept-changed-code" in errors
    changes = ("--trust-user-code", "--accept-changed-code")
    assert command("resume", "mine", "--trials", "3", *changes) == 2
    errors = capsys.readouterr().err
    assert "evil.py, line 1: evil failed: ZeroDivisionError" in errors
    (workspace.root / "evil.py").unlink()
    assert command("retrain", "mine", "--seeds", "1", "--trust-user-code") == 0
    assert command("predict", "mine", "bands/test/high/0.png", "--trust-user-code") == 0
    assert "high" in capsys.readouterr().out
