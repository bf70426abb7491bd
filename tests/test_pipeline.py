"""The real thing, tiny: real Ray, real trials, run as a user runs them."""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from handsigns.io.event_log import read_events, sealed

REPOSITORY = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def done(place):
    """A whole `run`: its place, and what it printed."""
    arguments = ("--data", "bands", "--size", "16", "--name", "first", "--seeds", "2")
    return place, place.run("run", "tiny.yaml", *arguments, *place.two)


@pytest.mark.versions
def test_run_tells_the_whole_story(done):
    _, output = done
    for part in (
        "classes; train 60, val 24, test 24",
        "search: 6 trials in a continuous space, up to 4 epochs each",
        "trials at a time on",
        "6/6 trials ended",
        "the search ended after",
        "leaderboard (best 6 by val_loss):",
        "re-evaluation: the best 3 trials, 3 fresh runs each",
        "9/9 trials ended",
        "Trained again with 3 fresh seeds, trial ",
        "(by re-evaluation) for 4 epochs with 2 fresh seeds",
        "by seed: ",
        "test accuracy ",
        "everything is in results/first:",
        "report: reports/first/index.html",
    ):
        assert part in output, output
    assert "switched off" not in output


def test_the_results_folder_holds_all_that_is_promised(done):
    place, _ = done
    root = place.root / "results" / "first"
    for name in ("study.yaml", "environment.json", "data.json", "trials.csv", "epochs.csv",
                 "leaderboard.csv", "journal.jsonl", "test_ledger.jsonl"):  # fmt: skip
        assert (root / name).stat().st_size > 0, name
    for name in ("model.safetensors", "config.yaml", "metrics.json", "test.json"):
        assert (root / "winner" / name).stat().st_size > 0, name
    assert 1 <= len(list((root / "checkpoints").iterdir())) <= 3, "those of the best trials only"
    environment = json.loads((root / "environment.json").read_text())
    assert environment["packages"]["ray"]
    assert not list((place.root / "results").glob(".*.tmp")), "nothing half-made is left"


def test_the_leaderboard_is_ranked_by_validation_alone(done):
    place, _ = done
    rows = place.rows("first")
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 7)]
    needed = {"rank", "trial_id", "status", "val_accuracy", "val_loss", "epochs", "seconds",
              "learning_rate", "batch_size", "channel_width", "dropout"}  # fmt: skip
    assert needed <= set(rows[0])
    losses = [float(row["val_loss"]) for row in rows]
    assert losses == sorted(losses)
    assert {row["status"] for row in rows} <= {"completed", "stopped"}
    epochs = place.rows("first", "epochs")
    assert len(epochs) == sum(int(row["epochs"]) for row in rows)
    assert all(int(row["epochs"]) == 4 for row in rows if row["status"] == "completed")


@pytest.mark.versions
def test_the_best_and_the_worst_row_replay_identically(done):
    place, _ = done
    rows = place.rows("first")
    assert {row["status"] for row in rows} == {"completed", "stopped"}
    for row in (rows[0], rows[-1]):
        assert "identical: trial" in place.run("replay", "first", row["trial_id"])


def test_a_record_that_was_altered_does_not_replay(done):
    place, _ = done
    shutil.copytree(place.root / "results" / "first", place.root / "results" / "altered")
    journal = place.root / "results" / "altered" / "journal.jsonl"
    events, _ = read_events(journal)
    epoch = next(e for e in events if e["event"] == "epoch" and e["trial_id"] == "0000")
    epoch["metrics"]["val_loss"] += 1e-9
    journal.write_bytes(b"".join(map(sealed, events)))
    output = place.run("replay", "altered", "0000", status=1)
    assert "epoch 1: val_loss" in output
    assert "different: trial 0000" in output


@pytest.mark.versions
def test_the_test_result(done):
    place, _ = done
    result = json.loads((place.root / "results/first/winner/test.json").read_text())
    assert {"accuracy", "correct", "total", "ci95", "confusion", "classes"} <= set(result)
    assert result["classes"] == ["high", "low", "middle"]
    assert result["total"] == 24 == sum(map(sum, result["confusion"]))
    assert result["correct"] == sum(result["confusion"][k][k] for k in range(3))
    assert result["accuracy"] == result["correct"] / 24
    assert result["ci95"][0] <= result["accuracy"] <= result["ci95"][1]
    assert result["accuracy"] > 0.6, "bands are easy to tell"
    assert result["test_openings"] == 1


@pytest.mark.versions
def test_the_winner_is_the_best_of_the_reevaluated(done):
    place, _ = done
    folder = place.root / "results" / "first"
    best = [row["trial_id"] for row in place.rows("first")[:3]]
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
    assert card["chosen"] == "by re-evaluation"
    assert "was not measured" not in place.run("reevaluate", "first"), "nothing is left to be done"
    assert "identical" in place.run("replay", "first", f"{best[0]}-seed2")
    page = (place.root / "reports" / "first" / "index.html").read_text()
    assert "Top trials, re-evaluated with fresh seeds" in page


def test_folds_of_the_best(done):
    place, _ = done
    shutil.copytree(place.root / "results" / "first", place.root / "results" / "folded")
    options = ("--top", "2", "--seeds", "1", "--folds", "3")
    output = place.run("reevaluate", "folded", *options, "--no-report")
    assert "re-evaluation: the best 2 trials, 3 fresh runs each" in output
    assert "15/15 trials ended" in output, "beside those of before"
    assert "Trained again with a fresh seed on 3 folds" in output, "which alone count now"
    first = place.rows("folded")[0]["trial_id"]
    assert "identical" in place.run("replay", "folded", f"{first}-seed0-fold2of3")
    assert "no trial 7-seed9" in place.run("replay", "folded", "7-seed9", status=2)
    output = place.run("reevaluate", "folded", "--folds", "50", status=2)
    assert "50 folds are too many: the rarest class has 28 images" in output
    output = place.run("reevaluate", "folded", "--folds", "1", status=2)
    assert "--folds: folds is 1, which leaves nothing to train on" in output


def test_each_seeds_model_is_tested_once(done):
    place, _ = done
    winner = place.root / "results" / "first" / "winner"
    result = json.loads((winner / "test.json").read_text())
    assert len(result["per_seed"]) == len(result["seeds"]) == 2
    kept = result["per_seed"][result["seeds"].index(result["kept_seeds"][0])]
    assert kept == result["accuracy"]
    assert result["unseen"] == {"correct": result["correct"], "total": result["total"]}
    shutil.copytree(place.root / "results" / "first", place.root / "results" / "many")
    output = place.run("retrain", "many", "--seeds", "3", "--ensemble", "--no-report")
    assert "kept 3 as an ensemble" in output
    place.run("test", "many", "--no-report")
    many = json.loads((place.root / "results" / "many" / "winner" / "test.json").read_text())
    assert len(many["per_seed"]) == len(many["kept_seeds"]) == 3
    picture = "bands/test/high/0.png"
    (row,) = json.loads(place.run("predict", "many", picture, "--format", "json"))
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "written to" in place.run("export", "many", "--format", "torch-export")


def test_formats_of_the_leaderboard(done):
    place, _ = done
    rows = json.loads(place.run("leaderboard", "first", "--format", "json"))
    assert [row["trial_id"] for row in rows] == [row["trial_id"] for row in place.rows("first")]
    assert [row["val_loss"] for row in rows] == [float(r["val_loss"]) for r in place.rows("first")]
    text = place.run("leaderboard", "first", "--format", "csv", "--top", "2")
    assert len(text.splitlines()) == 3
    assert place.run("leaderboard", "first", "--format", "md").startswith("| rank | trial_id |")
    assert "first" in place.run("list")


@pytest.mark.versions
def test_predict(done):
    place, _ = done
    pictures = ["bands/test/high/0.png", "bands/test/low/1.png"]
    found = json.loads(place.run("predict", "first", *pictures, "--format", "json"))
    assert [row["picture"] for row in found] == pictures
    for row in found:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    assert "high" in place.run("predict", "first", *pictures)
    output = place.run("predict", "first", "tiny.yaml", pictures[0], status=1)
    assert "not classified: tiny.yaml: not an image" in output
    assert pictures[0] in output, "the others are classified"
    folder = place.run("predict", "first", "bands/test", "tiny.yaml", "--skip-bad")
    assert all(picture in folder for picture in pictures)


def test_a_trial_picked_after_the_test_must_be_declared(done):
    place, _ = done
    shutil.copytree(place.root / "results" / "first", place.root / "results" / "picked")
    other = place.rows("first")[1]["trial_id"]
    place.run("retrain", "picked", "--trial", other, "--seeds", "1")
    assert (place.root / "results/picked/winner-1/test.json").exists(), "the earlier one is kept"
    output = place.run("test", "picked", status=2)
    assert f"trial {other} was picked by hand after a test result" in output
    assert not (place.root / "results/picked/winner/test.json").exists()
    assert "opened 2 times" in place.run("test", "picked", "--after-test")
    result = json.loads((place.root / "results/picked/winner/test.json").read_text())
    assert result["chosen_after_test"] is True


@pytest.mark.versions
def test_a_search_loads_nothing_twice(done):
    """Its trials run in the processes that Ray started with itself; its driver needs no torch."""
    place, _ = done
    # Where the machine is too busy for these to be ready in time, Ray starts others: three tries.
    assert any(_used_what_was_ready(place, f"light-{number}") for number in range(3))


def _used_what_was_ready(place, name):
    data = ("--data", "bands", "--size", "16")
    arguments = ["search", "tiny.yaml", *data, *place.two, "--name", name]
    script = f"""
import sys
from handsigns.cli import main
assert main({arguments}) == 0
loaded = {{"torch", "torchvision"}} & set(sys.modules)
assert not loaded, loaded
"""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # the name of a socket must be short
        environment = place.environment | {"RAY_TMPDIR": folder}
        subprocess.run(
            [sys.executable, "-c", script], check=True, cwd=place.root, env=environment, timeout=900
        )
        # Ray names the output of a process after the job for which it was started, if any.
        files = Path(folder).glob("ray/session_*/logs/worker-*-ffffffff-*.out")
        ready = {path.stem.rsplit("-", 1)[1] for path in files}
    used = {row["node"].split("/")[1] for row in place.rows(name, "trials")}
    assert used
    return used <= ready


def test_names_are_never_overwritten(done):
    place, _ = done
    before = (place.root / "results/first/leaderboard.csv").read_bytes()
    output = place.run("search", "tiny.yaml", "--data", "bands", "--name", "first", status=2)
    assert f"first exists already; go on with it ({place.suggested('resume', 'first')})" in output
    assert (place.root / "results/first/leaderboard.csv").read_bytes() == before


def test_a_search_that_is_done_can_only_be_extended(done):
    place, _ = done
    output = place.run("resume", "first", status=2)
    more = place.suggested("resume", "first", "--trials", "12")
    assert f"all 6 trials of first are done; to try more: {more}" in output


def test_changed_pictures_are_noticed(done):
    place, _ = done
    shutil.copytree(place.root / "bands", place.root / "changed")
    Image.new("RGB", (16, 16)).save(place.root / "changed" / "test" / "low" / "0.png")
    output = place.run("test", "first", "--data", "changed", status=2)
    assert "are not those of first: fingerprint" in output


def test_more_than_the_machine_has_leaves_nothing_behind(done):
    place, _ = done
    arguments = ("--data", "bands", "--size", "16", "--name", "huge")
    output = place.run("search", "tiny.yaml", *arguments, "--cpus-per-trial", "999", status=2)
    assert "resources.cpus_per_trial is 999, but there are" in output
    assert not (place.root / "results" / "huge").exists()


def test_a_diverged_trial_is_ranked_last_and_harms_nothing(done):
    place, _ = done
    # At a learning rate of 10 such a penalty makes weights a hundred times larger at every step.
    space = (
        (place.root / "tiny.yaml")
        .read_text()
        .replace("type: log_uniform, low: 1e-3, high: 3e-2", "type: choice, values: [0.01, 10.0]")
    )
    fixed = "optimizer: sgd\n  momentum: 0.0\n  schedule: constant\n  weight_decay: 10.0\n"
    space = space.replace("channel_width: 4\n", f"channel_width: 4\n  {fixed}")
    (place.root / "wild.yaml").write_text(space + "searcher: {name: grid}\n")
    arguments = ("--data", "bands", "--size", "16", "--name", "wild", "--max-epochs", "12")
    place.run("search", "wild.yaml", *arguments, "--trials", "4", "--set", "scheduler.name=none")
    rows = place.rows("wild")
    assert len(rows) == 4
    found = [(float(row["learning_rate"]), row["status"]) for row in rows]
    assert found == [(0.01, "completed")] * 2 + [(10.0, "diverged")] * 2
    output = place.run("replay", "wild", rows[-1]["trial_id"])
    assert "identical: trial" in output
    assert "and diverged again" in output


@pytest.mark.photographs
def test_the_courses_experiment_on_its_photographs(done, signs):
    """Three rows, cut short to an epoch each."""
    place, _ = done
    space = str(REPOSITORY / "search_spaces" / "cs230_learning_rate.yaml")
    place.run("search", space, "--data", str(signs), "--max-epochs", "1", "--name", "course")
    rows = place.rows("course")
    assert sorted(float(row["learning_rate"]) for row in rows) == [1e-4, 1e-3, 1e-2]
    assert {row["status"] for row in rows} == {"completed"}
