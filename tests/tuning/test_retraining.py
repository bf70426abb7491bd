"""Retraining with a real Ray: exact, resumable and retried, as a search is."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from handsigns.data.dataset import open_data
from handsigns.results.paths import SearchPaths
from handsigns.results.store import open_search
from handsigns.results.winner import read_model_card, read_retraining
from handsigns.winner.model import seed_weights_path
from tests.support.retraining import train_directly

pytestmark = pytest.mark.ray

OPTIONS = ("--seeds", "2", "--trial", "0", "--no-report")
RUNS = "retraining/0000"


@pytest.fixture(scope="module")
def undisturbed(workspace):
    """Search with a retrained winner, and the output of the retraining."""
    workspace.run(
        "search", "tiny.yaml", *workspace.data, *workspace.concurrent, "--trials", "2",
        "--max-epochs", "100", "--set", "scheduler.name=none", "--name", "first",
    )  # fmt: skip
    shutil.copytree(workspace.folder("first"), workspace.folder("fresh"))
    return workspace.run("retrain", "first", *OPTIONS)


@pytest.fixture
def copy(workspace, undisturbed):
    """Return a function that copies the search as it was before it was retrained."""
    return lambda name: shutil.copytree(workspace.folder("fresh"), workspace.folder(name))


def weights(workspace, name):
    """Return the weights of the model of each seed."""
    folder = workspace.folder(name) / "winner"
    seeds = read_model_card(folder).trained_seeds
    return [load_file(seed_weights_path(folder, seed)) for seed in seeds]


def assert_same_winner(workspace, name):
    """Assert that a retraining gave the same models as the undisturbed one, and left no files."""
    found, expected = weights(workspace, name), weights(workspace, "first")
    assert len(found) == len(expected) == 2
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    cards = [read_retraining(workspace.folder(n) / "winner") for n in (name, "first")]
    assert cards[0].selected_seeds == cards[1].selected_seeds
    assert [run.loss for run in cards[0].runs] == [run.loss for run in cards[1].runs]
    assert not (workspace.folder(name) / "retraining").exists()


def test_each_seed_equals_its_training_without_ray(workspace, undisturbed):
    search = open_search(SearchPaths(workspace.folder("first")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDSIGNS_CACHE", workspace.environment["HANDSIGNS_CACHE"])
        data = open_data(Path(search.data.folder), size=16)
    retraining = read_retraining(search.paths.winner)
    assert (retraining.device, retraining.threads) == ("cpu", 1)
    assert retraining.num_train_images == 84
    for run, model in zip(retraining.runs, weights(workspace, "first"), strict=True):
        state = train_directly(search, data, search.journal["0000"].config, run.seed)
        expected = state.eval_model.state_dict()
        assert all(torch.equal(model[name], tensor) for name, tensor in expected.items())
        assert [epoch.train_loss for epoch in run.epochs][-64:] == [
            metrics.train_loss for metrics in state.history
        ]


def test_progress_shows_epochs_but_no_validation_scores(workspace, undisturbed):
    for part in (
        "retraining trial 0000 on training and validation split, with 2 fresh seeds",
        "2 trials at a time on",
        "completed after 100 epochs; 2/2 seeds finished, 200/200 epochs, ",
        "retrained trial 0000 (selected by user) for 100 epochs with 2 fresh seeds, ",
    ):
        assert part in undisturbed, undisturbed
    assert "val_" not in undisturbed
    assert "nan" not in undisturbed
    folder = workspace.folder("first")
    left = {path.name for path in folder.iterdir()} - {
        path.name for path in workspace.folder("fresh").iterdir()
    }
    assert left == {"winner"}


@pytest.mark.faults
def test_killed_retraining_resumes_to_the_same_winner(workspace, copy):
    """First the driver is killed, then, after the resume, the process of a run."""
    copy("killed")
    process = workspace.start("retrain", "killed", *OPTIONS)
    workspace.wait_for_epochs(f"killed/{RUNS}", 20, process)
    workspace.kill(process, f"killed/{RUNS}")
    recorded = len(workspace.events(f"killed/{RUNS}", "epoch"))
    assert recorded < 200
    assert not (workspace.folder("killed") / "winner").exists()
    process = workspace.start("retrain", "killed", *OPTIONS)
    workspace.wait_for_epochs(f"killed/{RUNS}", recorded + 5, process)
    os.kill(workspace.trial_process(f"killed/{RUNS}"), signal.SIGKILL)
    output = workspace.finish(process)
    assert "it resumes from its checkpoint (retry 1 of 3)" in output
    assert_same_winner(workspace, "killed")


@pytest.mark.faults
@pytest.mark.long
def test_interrupted_retraining_is_resumed_by_the_same_command(workspace, copy):
    copy("stopped")
    process = workspace.start("retrain", "stopped", *OPTIONS)
    workspace.wait_for_epochs(f"stopped/{RUNS}", 20, process)
    os.killpg(process.pid, signal.SIGINT)
    output = workspace.finish(process, 130)
    command = workspace.suggested_command("retrain", "stopped", "--trial", "0", "--seeds", "2")
    assert output.strip().endswith(f"interrupted; resume with: {command}")
    ended = workspace.events(f"stopped/{RUNS}", "trial_ended")
    assert "interrupted" in {event["status"] for event in ended}

    workspace.run("retrain", "stopped", "--trial", "1", "--seeds", "1", "--no-report")
    winner = json.loads((workspace.folder("stopped") / "winner" / "metrics.json").read_text())
    assert winner["trial_id"] == "0001"
    assert workspace.events(f"stopped/{RUNS}", "trial_ended") == ended, "its runs are kept"
    workspace.run("retrain", "stopped", *OPTIONS)
    assert_same_winner(workspace, "stopped")
