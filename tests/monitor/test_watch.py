"""Watching a search: scripted journals that grow, with no Ray, in terminals of any width."""

import contextlib
import io
import math
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from handsigns.config.validate import check_study
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.metrics import EpochMetrics
from handsigns.monitor.bars import sparkline
from handsigns.monitor.watch import Watched, show_once, watch
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search, held
from handsigns.results.trial import Placement, Session, Verdict
from tests.support.records import make_spec

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Placement("laptop/1", "cpu", 1)
SPACE = {"learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1}}


class Script:
    """A search that is run by a script; it holds the search until `leave`."""

    def __init__(self, root, space=SPACE):
        study, problems = check_study({"space": space, "budget": {"trials": 4, "max_epochs": 8}})
        assert study is not None, problems
        info = DataInfo("drawn hands", "f00d", ("a", "b"), 64, {"train": (1, 1)})
        self.paths = SearchPaths(root / "mine")
        begin_search(self.paths, study, DataRecord(info, None, 64, False))
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(held(self.paths))
        self.journal = Journal(self.paths.journal, writable=True)
        self.stack.callback(self.journal.close)
        self.journal.open_session(Session("f00d", {}))

    def begin(self, trial_id, **params):
        params = {"learning_rate": 0.01 + int(trial_id) / 1000, **params}
        self.journal.start(make_spec(trial_id, params))

    def epochs(self, trial_id, *accuracies, verdict=None):
        first = len(self.journal[trial_id].epochs) + 1
        for epoch, accuracy in enumerate(accuracies, first):
            metrics = EpochMetrics(epoch, 0.7, 0.6, 1 - accuracy, accuracy, accuracy, 1e-3, 1.0)
            self.journal.report(trial_id, metrics, HERE, verdict)

    def conclude(self):
        self.journal.pause("all trials are done", by_user=False)

    def leave(self):
        self.stack.close()


@pytest.fixture
def script(tmp_path):
    script = Script(tmp_path)
    yield script
    script.leave()


def shown(watched, width=80):
    console = Console(file=io.StringIO(), width=width, height=30, highlight=False)
    show_once(watched, console)
    return console.file.getvalue()


def test_a_search_under_way(script):
    for trial_id in ("0000", "0001", "0002"):
        script.begin(trial_id)
    script.epochs("0000", 0.25, 0.5, 0.75, 1.0)
    script.journal.end("0000", "completed")
    script.epochs("0001", 0.25, verdict=Verdict(1, 0.75, 0.5, 1, stop=True))
    script.journal.end("0001", "stopped")
    script.epochs("0002", 0.3, 0.6)
    text = shown(Watched(script.paths))
    assert "mine is run by process " in text
    assert "2/4 trials" in text
    assert "1 running, 1 completed, 1 stopped early" in text
    assert "best: trial 0000, val_loss 0.0000, val_accuracy 100.00%" in text
    assert "7 epochs trained, 11 saved" in text
    assert "running    0002 ▁▄        60.00% 2/8" in text
    assert "best       0000 ▁▃▆█     100.00% 4/8" in text
    assert "rung at epoch 1: 1 trial, 1 stopped, cutoff 0.5000" in text


def test_time_goes_on_between_events_while_it_runs(script):
    script.journal.clock = lambda: 50.0
    script.begin("0000")
    later = time.time() + 3600
    assert "1h elapsed" in shown(Watched(script.paths, now=lambda: later)).replace("1h50s", "1h")
    script.leave()
    assert "50s elapsed" in shown(Watched(script.paths, now=lambda: later))


def test_only_what_is_new_is_read(script):
    script.begin("0000")
    watched = Watched(script.paths)
    assert watched.look() == 0
    script.epochs("0000", 0.5, 0.6)
    assert watched.look() == 2
    assert watched.look() == 0
    assert [m.val_accuracy for m in watched.ranked[0].epochs] == [0.5, 0.6]
    assert watched.search.journal.records == script.journal.records


def test_a_line_that_is_being_written_is_waited_for(script):
    script.begin("0000")
    script.epochs("0000", 0.5)
    whole = script.paths.journal.read_bytes()
    script.paths.journal.write_bytes(whole[:-30])
    watched = Watched(script.paths)
    assert not watched.ranked[0].epochs
    script.paths.journal.write_bytes(whole)
    assert watched.look() == 1
    assert len(watched.ranked[0].epochs) == 1


def test_damage_is_told_with_its_line_also_while_following(script):
    script.begin("0000")
    watched = Watched(script.paths)
    with script.paths.journal.open("ab") as file:
        file.write(b"rubbish\n")
    script.epochs("0000", 0.5)
    with pytest.raises(ResultsError, match="line 3 is damaged"):
        watched.look()


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_ends_with_the_search_and_tells_of_each_trial(script, terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=60, highlight=False)
    script.begin("0000")
    watched = Watched(script.paths)
    thread = threading.Thread(target=watch, args=(watched, console, 0.01))
    thread.start()
    script.epochs("0000", *[0.5] * 8)
    script.journal.end("0000", "completed")
    script.begin("0001")
    script.epochs("0001", math.nextafter(0.75, 0))
    script.journal.end("0001", "stopped")
    script.conclude()  # its process goes on: it retrains, say
    thread.join(timeout=60)
    assert not thread.is_alive()
    text = out.getvalue()
    assert "mine has ended: all trials are done" in text
    assert "best: trial 0001" in text
    if not terminal:
        assert "\x1b" not in text
        assert "trial 0000 completed after 8 epochs: val_accuracy 50.00%" in text
        assert text.count("trial 0001 stopped early after 1 epoch:") == 1


def test_watching_follows_a_resumed_search_with_its_new_budget(script):
    script.begin("0000")
    script.conclude()
    watched = Watched(script.paths)
    assert not watched.over, "someone holds it: it may be about to go on"
    text = script.paths.study.read_text()
    script.paths.study.write_text(text.replace("trials: 4", "trials: 9"))
    script.journal.open_session(Session("f00d", {}))
    watched.look()
    assert watched.running
    assert "0/9 trials" in shown(watched)
    script.conclude()
    watched.look()
    assert watched.over


def test_who_has_seen_enough_leaves_with_ctrl_c(script):
    script.begin("0000")
    script.epochs("0000", 0.5)
    results = str(script.paths.root.parent)
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "tune_main.py"), "watch", "mine", "--results", results],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert "mine is run by process " in lines[0]
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_a_search_whose_process_died_is_told(script):
    script.begin("0000")
    script.epochs("0000", 0.5)
    watched = Watched(script.paths)
    script.leave()
    watched.look()
    assert watched.over
    text = shown(watched)
    assert "mine was broken off; go on with: python -m handsigns resume mine --results" in text
    assert "1 unfinished" in text
    assert "unfinished 0000" in text


def test_looking_keeps_no_one_from_taking_up_the_search(script):
    script.leave()
    stop = threading.Event()

    def look():
        while not stop.is_set():
            Watched(script.paths)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            with held(script.paths):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_it_fits_narrow_terminals_and_obeys_no_text(tmp_path):
    hostile = {"type": "choice", "values": ["\x1b[2Jowned\n" + "x" * 60, "b"]}
    space = {**SPACE, "architecture": "my:net", "own": {"text": hostile}}
    script = Script(tmp_path, space)
    for number in range(4):
        script.begin(f"{number:04d}", architecture="my:net", **{"own.text": hostile["values"][0]})
        script.epochs(f"{number:04d}", *[0.1 * number] * 6)
    watched = Watched(script.paths)
    for width in (40, 80, 200):
        text = shown(watched, width)
        assert all(len(line) <= width for line in text.splitlines()), text
        assert "\x1b" not in text
        assert "30.00% 6/8" in text
    script.leave()


def test_a_search_without_trials(script):
    text = shown(Watched(script.paths))
    assert "no epoch finished yet" in text
    assert "0/4 trials" in text


def test_a_sparkline_shows_the_last_of_as_many_values():
    assert sparkline([0.0, 0.5, 1.0], 0, 1, 10, 3) == "▁▅█"
    assert sparkline([i / 99 for i in range(100)], 0, 1, 4, 100) == "▂▄▆█"
    assert sparkline([0.1] * 3, 0, 1, 4, 100) == "▁"
    assert sparkline([0.5, 0.5], 0.5, 0.5, 4, 4) == "██"
