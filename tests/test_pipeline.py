"""Command-line pipeline on a tiny search, with a real Ray."""

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.workspace import REPOSITORY

pytestmark = pytest.mark.ray

UNUSED_FILES = {
    *("warm_start.json", "latencies.csv", "user_code", ".sync_state.json"),
    *("tensorboard", "mlflow", "wandb", "onnx.json", "onnx_int8.json"),
}
"""Documented files of features that the pipeline does not use."""


@pytest.fixture(scope="module")
def pipeline(workspace):
    """Workspace and output of `run`."""
    arguments = ("--data", "bands", "--size", "16", "--name", "first", "--seeds", "2")
    return workspace, workspace.run("run", "tiny.yaml", *arguments, *workspace.concurrent)


@pytest.mark.versions
def test_run_reports_every_step(pipeline):
    _, output = pipeline
    for part in (
        "classes; train 60, val 24, test 24",
        "search: 6 trials in a continuous space, up to 4 epochs each",
        "trials at a time on",
        "6/6 trials finished",
        "the search ended after",
        "leaderboard (best 6 by val_loss):",
        "re-evaluation: the best 3 trials, 3 fresh runs each",
        "9/9 trials finished",
        "Re-evaluated with 3 fresh seeds, trial ",
        "(selected by re-evaluation) for 4 epochs with 2 fresh seeds",
        "by seed: ",
        "test accuracy ",
        "all files are in results/first:",
        "report: reports/first/index.html",
    ):
        assert part in output, output
    assert "was disabled" not in output


def documented_files():
    """Return the names of a search's files, also of its winner, in the reference."""
    page = (REPOSITORY / "docs" / "reference" / "result-files.md").read_text()
    section = page.split("\n## Files\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE))
    return {name for row in (*rows, rows["`winner/`"]) for name in re.findall(r"`([\w.]+)/?`", row)}


def test_the_results_folder_has_all_documented_files(pipeline):
    workspace, _ = pipeline
    root = workspace.root / "results" / "first"
    files = {path.name: path for path in (*root.iterdir(), *(root / "winner").iterdir())}
    assert files.keys() - {".lock"} == documented_files() - UNUSED_FILES
    for name, path in files.items():
        assert path.is_dir() or name in (".lock", "ray.log") or path.stat().st_size > 0, name
    assert 1 <= len(list((root / "checkpoints").glob("*.safetensors"))) <= 3, (
        "of the top trials only"
    )
    environment = json.loads((root / "environment.json").read_text())
    assert environment["packages"]["ray"]
    assert not list((workspace.root / "results").glob(".*.tmp")), "no temporary file is left"


def test_the_leaderboard_is_ranked_by_validation_alone(pipeline):
    workspace, _ = pipeline
    rows = workspace.rows("first")
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 7)]
    needed = {"rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs", "seconds",
              "learning_rate", "batch_size", "channel_width", "dropout"}  # fmt: skip
    assert needed <= set(rows[0])
    losses = [float(row["val_loss"]) for row in rows]
    assert losses == sorted(losses)
    assert {row["status"] for row in rows} <= {"completed", "stopped"}
    epochs = workspace.rows("first", "epochs")
    assert len(epochs) == sum(int(row["epochs"]) for row in rows)
    assert all(int(row["epochs"]) == 4 for row in rows if row["status"] == "completed")


@pytest.mark.versions
def test_the_best_and_the_worst_row_replay_identically(pipeline):
    workspace, _ = pipeline
    rows = workspace.rows("first")
    assert {row["status"] for row in rows} == {"completed", "stopped"}
    for row in (rows[0], rows[-1]):
        assert "identical: trial" in workspace.run("replay", "first", row["trial_id"])


@pytest.mark.versions
def test_the_test_result_is_consistent(pipeline):
    workspace, _ = pipeline
    result = json.loads((workspace.root / "results/first/winner/test.json").read_text())
    assert {"accuracy", "correct", "total", "ci95", "confusion_matrix", "classes"} <= set(result)
    assert result["classes"] == ["high", "low", "middle"]
    assert result["total"] == 24 == sum(map(sum, result["confusion_matrix"]))
    assert result["correct"] == sum(result["confusion_matrix"][k][k] for k in range(3))
    assert result["accuracy"] == result["correct"] / 24
    assert result["ci95"][0] <= result["accuracy"] <= result["ci95"][1]
    assert result["accuracy"] > 0.6, "the classes are easy to distinguish"
    assert result["test_evaluations"] == 1


@pytest.mark.versions
def test_the_winner_has_the_best_reevaluation(pipeline):
    workspace, _ = pipeline
    folder = workspace.root / "results" / "first"
    best = [row["trial_id"] for row in workspace.rows("first")[:3]]
    with (folder / "reevaluation" / "trials.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert sorted(row["trial_id"] for row in runs) == sorted(
        f"{trial}-seed{seed}" for trial in best for seed in range(3)
    )
    assert {row["status"] for row in runs} == {"completed"}
    assert len({row["seed"] for row in runs}) == 3, "the same seeds for each"
    means = {
        trial: sum(float(r["val_loss"]) for r in runs if r["trial_id"].startswith(trial))
        for trial in best
    }
    card = yaml.safe_load((folder / "winner" / "config.yaml").read_text())
    assert card["trial_id"] == min(means, key=means.get)
    assert card["selected_by"] == "re-evaluation"
    assert "was not measured" not in workspace.run("reevaluate", "first"), "no run is left"
    assert "identical" in workspace.run("replay", "first", f"{best[0]}-seed2")
    page = (workspace.root / "reports" / "first" / "index.html").read_text()
    assert "Top trials re-evaluated with fresh seeds" in page


def test_reevaluation_on_folds(pipeline):
    workspace, _ = pipeline
    shutil.copytree(workspace.root / "results" / "first", workspace.root / "results" / "folded")
    options = ("--top", "2", "--seeds", "1", "--folds", "3")
    output = workspace.run("reevaluate", "folded", *options, "--no-report")
    assert "re-evaluation: the best 2 trials, 3 fresh runs each" in output
    assert "15/15 trials finished" in output, "including the previous ones"
    assert "Re-evaluated with a fresh seed on 3 folds" in output, "only these count now"
    first = workspace.rows("folded")[0]["trial_id"]
    assert "identical" in workspace.run("replay", "folded", f"{first}-seed0-fold2of3")
    assert "no trial 7-seed9" in workspace.run("replay", "folded", "7-seed9", status=2)
    output = workspace.run("reevaluate", "folded", "--folds", "50", status=2)
    assert "50 folds are too many: the smallest class has 28 images" in output
    output = workspace.run("reevaluate", "folded", "--folds", "1", status=2)
    assert "--folds: folds is 1, which leaves nothing to train on" in output


def test_the_model_of_each_seed_is_tested(pipeline):
    workspace, _ = pipeline
    winner = workspace.root / "results" / "first" / "winner"
    result = json.loads((winner / "test.json").read_text())
    assert len(result["accuracy_per_seed"]) == len(result["seeds"]) == 2
    selected = result["seeds"].index(result["selected_seeds"][0])
    assert result["accuracy_per_seed"][selected] == result["accuracy"]
    assert result["excluding_duplicates"] == {
        "correct": result["correct"],
        "total": result["total"],
    }
    shutil.copytree(workspace.root / "results" / "first", workspace.root / "results" / "many")
    output = workspace.run("retrain", "many", "--seeds", "3", "--ensemble", "--no-report")
    assert "kept 3 as an ensemble" in output
    workspace.run("test", "many", "--no-report")
    many = json.loads((workspace.root / "results" / "many" / "winner" / "test.json").read_text())
    assert len(many["accuracy_per_seed"]) == len(many["selected_seeds"]) == 3
    image = "bands/test/high/0.png"
    (row,) = json.loads(workspace.run("predict", "many", image, "--format", "json"))
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "written to" in workspace.run("export", "many", "--format", "torch-export")


def test_leaderboard_formats(pipeline):
    workspace, _ = pipeline
    rows = json.loads(workspace.run("leaderboard", "first", "--format", "json"))
    assert [row["trial_id"] for row in rows] == [row["trial_id"] for row in workspace.rows("first")]
    assert [row["val_loss"] for row in rows] == [
        float(r["val_loss"]) for r in workspace.rows("first")
    ]
    text = workspace.run("leaderboard", "first", "--format", "csv", "--top", "2")
    assert len(text.splitlines()) == 3
    assert workspace.run("leaderboard", "first", "--format", "md").startswith("| rank | trial_id |")
    assert "first" in workspace.run("list")


@pytest.mark.versions
def test_predict(pipeline):
    workspace, _ = pipeline
    images = ["bands/test/high/0.png", "bands/test/low/1.png"]
    rows = json.loads(workspace.run("predict", "first", *images, "--format", "json"))
    assert [row["image"] for row in rows] == images
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    assert "high" in workspace.run("predict", "first", *images)
    output = workspace.run("predict", "first", "tiny.yaml", images[0], status=1)
    assert "not classified: tiny.yaml: not an image" in output
    assert images[0] in output, "the other file is classified"
    folder = workspace.run("predict", "first", "bands/test", "tiny.yaml", "--skip-bad")
    assert all(image in folder for image in images)


def test_a_trial_picked_after_the_test_must_be_declared(pipeline):
    workspace, _ = pipeline
    shutil.copytree(workspace.root / "results" / "first", workspace.root / "results" / "picked")
    other = workspace.rows("first")[1]["trial_id"]
    workspace.run("retrain", "picked", "--trial", other, "--seeds", "1", "--no-report")
    assert (workspace.root / "results/picked/winner-1/test.json").exists(), (
        "the previous one is kept"
    )
    output = workspace.run("test", "picked", status=2)
    assert f"trial {other} was chosen with --trial or --smallest-within after a test" in output
    assert not (workspace.root / "results/picked/winner/test.json").exists()
    assert "opened 2 times" in workspace.run("test", "picked", "--after-test", "--no-report")
    result = json.loads((workspace.root / "results/picked/winner/test.json").read_text())
    assert result["selected_after_test"] is True


@pytest.mark.long
@pytest.mark.versions
def test_the_driver_of_a_search_never_imports_torch(pipeline):
    workspace, _ = pipeline
    script = f"""
import sys
from handsigns.cli import main
assert main({[*_LIGHT, *workspace.concurrent, "--no-report", "--name", "light"]}) == 0
loaded = {{"torch", "torchvision"}} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=workspace.root,
                   env=workspace.environment, timeout=900)  # fmt: skip


@pytest.mark.long
def test_trials_run_in_prestarted_workers(pipeline):
    workspace, _ = pipeline
    # On a busy machine the workers may not be ready in time and Ray starts others: three tries.
    assert any(_uses_prestarted_workers(workspace, f"pre-{number}") for number in range(3))


_LIGHT = ("search", "tiny.yaml", "--data", "bands", "--size", "16")


def _uses_prestarted_workers(workspace, name):
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # socket paths must be short
        environment = workspace.environment | {"RAY_TMPDIR": folder}
        command = [sys.executable, "-m", "handsigns", *_LIGHT, *workspace.concurrent]
        subprocess.run([*command, "--no-report", "--name", name], check=True, cwd=workspace.root,
                       env=environment, timeout=900)  # fmt: skip
        # Ray names the log of a worker after its job; prestarted ones have none (ffffffff).
        files = Path(folder).glob("ray/session_*/logs/worker-*-ffffffff-*.out")
        prestarted = {path.stem.rsplit("-", 1)[1] for path in files}
    used = {row["node"].split("/")[1] for row in workspace.rows(name, "trials")}
    assert used
    return used <= prestarted


def test_an_existing_search_is_never_overwritten(pipeline):
    workspace, _ = pipeline
    before = (workspace.root / "results/first/leaderboard.csv").read_bytes()
    output = workspace.run("search", "tiny.yaml", "--data", "bands", "--name", "first", status=2)
    resume = workspace.suggested_command("resume", "first")
    assert f"first already exists; resume it ({resume})" in output
    assert (workspace.root / "results/first/leaderboard.csv").read_bytes() == before


def test_changed_images_are_detected(pipeline):
    workspace, _ = pipeline
    shutil.copytree(workspace.root / "bands", workspace.root / "changed")
    Image.new("RGB", (16, 16)).save(workspace.root / "changed" / "test" / "low" / "0.png")
    output = workspace.run("test", "first", "--data", "changed", status=2)
    assert "are not those of first: fingerprint" in output


def test_too_large_resource_requests_leave_no_files(pipeline):
    workspace, _ = pipeline
    arguments = ("--data", "bands", "--size", "16", "--name", "huge", "--cpus-per-trial", "999")
    # Not in the command server, whose Ray could get more nodes, for which a search waits.
    output = workspace.finish(workspace.start("search", "tiny.yaml", *arguments), status=2)
    assert "resources.cpus_per_trial is 999, but there are" in output
    assert not (workspace.root / "results" / "huge").exists()


def test_a_diverged_trial_is_ranked_last(pipeline):
    workspace, _ = pipeline
    # At a learning rate of 10, this weight decay multiplies weights by 100 at every step.
    space = (
        (workspace.root / "tiny.yaml")
        .read_text()
        .replace("type: log_uniform, low: 1e-3, high: 3e-2", "type: choice, values: [0.01, 10.0]")
    )
    fixed = "optimizer: sgd\n  momentum: 0.0\n  schedule: constant\n  weight_decay: 10.0\n"
    space = space.replace("channel_width: 4\n", f"channel_width: 4\n  {fixed}")
    (workspace.root / "wild.yaml").write_text(space + "searcher: {name: grid}\n")
    arguments = ("--data", "bands", "--size", "16", "--name", "wild", "--no-report")
    budget = ("--trials", "4", "--max-epochs", "12", "--set", "scheduler.name=none")
    workspace.run("search", "wild.yaml", *arguments, *budget)
    rows = workspace.rows("wild")
    assert len(rows) == 4
    found = [(float(row["learning_rate"]), row["status"]) for row in rows]
    assert found == [(0.01, "completed")] * 2 + [(10.0, "diverged")] * 2
    output = workspace.run("replay", "wild", rows[-1]["trial_id"])
    assert "identical: trial" in output
    assert "and diverged again" in output


@pytest.mark.long
@pytest.mark.photographs
def test_the_cs230_experiment_on_its_photographs(pipeline, signs):
    """Three trials, of one epoch each."""
    workspace, _ = pipeline
    space = str(REPOSITORY / "search_spaces" / "cs230_learning_rate.yaml")
    workspace.run("search", space, "--data", str(signs), "--max-epochs", "1", "--name", "cs230")
    rows = workspace.rows("cs230")
    assert sorted(float(row["learning_rate"]) for row in rows) == [1e-4, 1e-3, 1e-2]
    assert {row["status"] for row in rows} == {"completed"}
