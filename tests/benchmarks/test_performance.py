"""Tests of the arithmetic of the performance benchmarks."""

import argparse
import json
import subprocess
import sys

import pytest
import yaml

from handsigns.config.presets import list_presets
from handsigns.io.event_log import encode_event


def epoch(trial, number, at, seconds, node="laptop/1", loss=1.0):
    metrics = {"epoch": number, "val_loss": loss, "epoch_seconds": seconds}
    return {"event": "epoch", "trial_id": trial, "metrics": metrics, "node": node, "time": at}


def test_targets_are_printed_and_written(program, tmp_path, capsys):
    harness = program("harness")
    targets = [harness.at_most("gap", 60.0, 50.0), harness.at_least("share", 0.7, 0.65)]
    table = harness.Table("A table", ("name", "size"), [("a", "1"), ("bb", "22")])
    args = argparse.Namespace(json=tmp_path / "targets.json", smoke=False)
    assert harness.finish([table], targets, args) == 0
    assert json.loads(args.json.read_text())["targets"] == [
        {"name": "gap", "value": 60.0, "bound": 50.0, "met": False},
        {"name": "share", "value": 0.7, "bound": 0.65, "met": True},
    ]
    out = capsys.readouterr().out
    assert "| a    | 1    |" in out
    assert "| gap    | 60       | 50    | no  |" in out
    args.smoke = True
    assert harness.finish([table], targets, args) == 0
    assert "gap" not in capsys.readouterr().out
    assert json.loads(args.json.read_text())["targets"] == []


def test_a_failing_command_raises_an_error(program):
    harness = program("harness")
    harness.run_cli("list", "--no-such-option", status=2)
    with pytest.raises(RuntimeError, match="--no-such-option"):
        harness.run_cli("list", "--no-such-option")


def test_worker_utilisation_gaps_and_reports(program):
    overhead = program("overhead")
    journal = [
        epoch("0", 1, at=101.0, seconds=1.0),
        epoch("0", 2, at=102.01, seconds=1.0),  # 10 ms after the first
        epoch("1", 1, at=103.05, seconds=1.0),  # 40 ms between the trials
        {"event": "trial_ended", "trial_id": "1"},
    ]
    table, targets = overhead.worker_utilisation(journal)
    assert [row[:3] for row in table.rows[:2]] == [
        ("gap between trials, ms", "1", "40.0"),
        ("report with checkpoint, ms", "1", "10.0"),
    ]
    assert targets[2].value == pytest.approx(3 / 3.05)


def test_the_log_of_a_method_is_evaluated(program):
    peers = program("peers")
    log = [
        epoch("0", 1, at=110.0, seconds=2.0, loss=0.9),
        epoch("1", 1, at=113.0, seconds=4.0, loss=0.2),
        epoch("1", 2, at=118.5, seconds=5.0, loss=0.1),  # after the time limit
    ]
    limits = {"started": 100.0, "seconds": 10.0, "target": 0.2}
    result = peers._parse_log(log, **limits, threads=1)
    assert result.startup_s == 8.0
    assert result.best == (0.9, 0.2, 0.2)
    assert result.time_to_target == 5.0
    assert (result.trials, result.epochs) == (2, 2)
    assert result.utilisation == pytest.approx(6 / 20)
    assert peers._parse_log(log, **limits, threads=2).utilisation == pytest.approx(12 / 20)


def test_eager_trials_on_a_gpu_have_the_default_space(program):
    eager = yaml.safe_load(program("gpu").EAGER_SPACE)
    assert eager["space"].pop("architecture") == "network:eager"
    assert eager == yaml.safe_load(list_presets()["default"].read_text())


def test_process_tree_contains_children(program):
    harness = program("harness")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        import os

        assert child.pid in harness.process_tree(os.getpid())
        assert harness.process_tree(child.pid) == {child.pid}


def test_a_long_search_is_measured_by_deciles(program):
    scale = program("scale")
    # Ten trials per second with 10 ms of CPU time each, then half as fast with 20 ms each.
    starts = [0.1 * n for n in range(50)] + [5 + 0.2 * n for n in range(50)]
    samples = [(s / 4, 0.1 * s / 4, 100 + s // 4) for s in range(64)]
    rows, targets = scale.by_decile(starts, scale.DriverMonitor(None, None, samples), concurrent=2)
    assert rows[0] == ("2 to 10", "10.0", "10.0", "100")
    assert rows[9] == ("90 to 100", "5.0", "20.0", "114")
    assert [target.value for target in targets] == pytest.approx([2.0, 0.5, 1024 * 14 / 90])
    assert [target.met for target in targets] == [False, False, False]


def test_a_growing_journal_is_read_incrementally(program, tmp_path):
    scale = program("scale")
    follower = scale.JournalFollower(tmp_path / "journal.jsonl")
    follower.read()
    lines = [encode_event(event) for event in (
        {"event": "trial_started", "trial_id": "0", "time": 1.0},
        epoch("0", 1, at=2.0, seconds=1.0),
        {"event": "trial_started", "trial_id": "1", "time": 2.5},
        epoch("1", 1, at=3.0, seconds=1.0, node="laptop/2"),
    )]  # fmt: skip
    with (tmp_path / "journal.jsonl").open("wb") as file:
        file.write(b"".join(lines[:3])[:-5])
        file.flush()
        follower.read()
        assert (follower.started, follower.times, follower.reporting) == (1.0, [2.0], {"0"})
        file.write(lines[2][-5:] + lines[3])
        file.flush()
        follower.read()
    assert (follower.started, follower.times, follower.processes) == (1.0, [2.0, 3.0], {1, 2})
