"""The benchmarks' own arithmetic; what they measure is not a matter of tests."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from handsigns.io.event_log import sealed

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def epoch(trial, number, at, seconds, node="laptop/1", loss=1.0):
    metrics = {"epoch": number, "val_loss": loss, "epoch_seconds": seconds}
    return {"event": "epoch", "trial_id": trial, "metrics": metrics, "node": node, "time": at}


def test_aims_are_printed_and_written(program, tmp_path, capsys):
    harness = program("harness")
    aims = [harness.at_most("gap", 60.0, 50.0), harness.at_least("share", 0.7, 0.65)]
    table = harness.Table("A table", ("what", "much"), [("a", "1"), ("bb", "22")])
    chosen = argparse.Namespace(json=tmp_path / "aims.json", smoke=False)
    assert harness.finish([table], aims, chosen) == 0
    written = json.loads((tmp_path / "aims.json").read_text())
    assert written["aims"] == [
        {"name": "gap", "value": 60.0, "aim": 50.0, "met": False},
        {"name": "share", "value": 0.7, "aim": 0.65, "met": True},
    ]
    out = capsys.readouterr().out
    assert "| a    | 1    |" in out
    assert "| gap    | 60       | 50   | no  |" in out
    chosen.smoke = True
    assert harness.finish([table], aims, chosen) == 0
    assert "gap" not in capsys.readouterr().out
    assert json.loads(chosen.json.read_text())["aims"] == []


def test_a_command_that_fails_is_noticed(program):
    harness = program("harness")
    harness.tune("list", "--no-such-option", status=2)
    with pytest.raises(RuntimeError, match="--no-such-option"):
        harness.tune("list", "--no-such-option")


def test_where_a_slots_time_went(program):
    overhead = program("overhead")
    journal = [
        epoch("0", 1, at=101.0, seconds=1.0),
        epoch("0", 2, at=102.01, seconds=1.0),  # ten milliseconds after the first
        epoch("1", 1, at=103.05, seconds=1.0),  # forty between the trials
        {"event": "end", "trial_id": "1"},
    ]
    table, aims = overhead.slots(journal)
    assert [row[:3] for row in table.rows[:2]] == [
        ("between two trials, ms", "1", "40.0"),
        ("report with checkpoint, ms", "1", "10.0"),
    ]
    assert aims[2].value == pytest.approx(3 / 3.05)


def test_what_a_method_came_to(program):
    peers = program("peers")
    log = [
        epoch("0", 1, at=110.0, seconds=2.0, loss=0.9),
        epoch("1", 1, at=113.0, seconds=4.0, loss=0.2),
        epoch("1", 2, at=118.5, seconds=5.0, loss=0.1),  # after the end
    ]
    found = peers._outcome(log, begun=100.0, seconds=10.0, target=0.2)
    assert found.start == 8.0
    assert found.best == (0.9, 0.2, 0.2)
    assert found.target == 5.0
    assert (found.trials, found.epochs) == (2, 2)
    assert found.used == pytest.approx(6 / 20)


def test_a_process_and_its_children(program):
    harness = program("harness")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        import os

        assert child.pid in harness.family(os.getpid())
        assert harness.family(child.pid) == {child.pid}


def test_a_long_search_by_its_tenths(program):
    scale = program("scale")
    # Ten trials a second, of 10 ms of processor each, then half as fast, 20 ms each.
    begins = [0.1 * n for n in range(50)] + [5 + 0.2 * n for n in range(50)]
    seen = [(s / 4, 0.1 * s / 4, 100 + s // 4) for s in range(64)]
    rows, aims = scale.tenths(begins, scale.Driver(None, None, seen), at_once=2)
    assert rows[0] == ("2 to 10", "10.0", "10.0", "100")
    assert rows[9] == ("90 to 100", "5.0", "20.0", "114")
    assert [aim.value for aim in aims] == pytest.approx([2.0, 0.5, 1024 * 14 / 90])
    assert [aim.met for aim in aims] == [False, False, False]


def test_a_journal_is_followed_while_it_grows(program, tmp_path):
    scale = program("scale")
    follow = scale.Follower(tmp_path / "journal.jsonl")
    follow.read()
    lines = [sealed(event) for event in (
        {"event": "start", "trial_id": "0", "time": 1.0}, epoch("0", 1, at=2.0, seconds=1.0),
        {"event": "start", "trial_id": "1", "time": 2.5},
        epoch("1", 1, at=3.0, seconds=1.0, node="laptop/2"),
    )]  # fmt: skip
    with (tmp_path / "journal.jsonl").open("wb") as file:
        file.write(b"".join(lines[:3])[:-5])
        file.flush()
        follow.read()
        assert (follow.begun, follow.times, follow.reporting) == (1.0, [2.0], {"0"})
        file.write(lines[2][-5:] + lines[3])
        file.flush()
        follow.read()
    assert (follow.begun, follow.times, follow.processes) == (1.0, [2.0, 3.0], {1, 2})
