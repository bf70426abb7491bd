"""Watching a search: growing scripted journals, without Ray, in terminals of any width."""

import contextlib
import io
import math
import signal
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from handsigns.config.validate import validate_search_config
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.monitor.text_charts import sparkline
from handsigns.monitor.watch import WatchedSearch, print_status, watch
from handsigns.policy.stopping import EXHAUSTED
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.search_lock import search_lock
from handsigns.results.store import DataRecord, create_search
from handsigns.results.trial import Placement, Session, Verdict
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.workspace import REPOSITORY

PLACEMENT = Placement("laptop/1", "cpu", 1)
SPACE = {"learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1}}


class SearchSimulator:
    """Simulator of a running search, which holds the search's lock until `release`."""

    def __init__(self, root, space=SPACE):
        config, problems = validate_search_config(
            {"space": space, "budget": {"trials": 4, "max_epochs": 8}}
        )
        assert config is not None, problems
        info = DataInfo("synthetic hands", "f00d", ("a", "b"), 64, {"train": (1, 1)})
        self.paths = SearchPaths(root / "mine")
        create_search(self.paths, config, DataRecord(info, None, 64, False))
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(search_lock(self.paths))
        self.journal = Journal(self.paths.journal, writable=True)
        self.stack.callback(self.journal.close)
        self.journal.start_session(Session("f00d", {}))

    def start_trial(self, trial_id, **params):
        params = {"learning_rate": 0.01 + int(trial_id) / 1000, **params}
        self.journal.start_trial(make_spec(trial_id, params))

    def epochs(self, trial_id, *accuracies, verdict=None):
        first = len(self.journal[trial_id].epochs) + 1
        for epoch, accuracy in enumerate(accuracies, first):
            metrics = make_epoch_metrics(epoch, 1 - accuracy, accuracy)
            self.journal.report_epoch(trial_id, metrics, PLACEMENT, verdict)

    def end_session(self):
        self.journal.end_session("all trials are done", interrupted=False)

    def release(self):
        self.stack.close()


@pytest.fixture
def simulator(tmp_path):
    simulator = SearchSimulator(tmp_path)
    yield simulator
    simulator.release()


def rendered(watched, width=80, height=30):
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False)
    print_status(watched, console)
    return console.file.getvalue()


def test_a_running_search_is_rendered(simulator):
    for trial_id in ("0000", "0001", "0002"):
        simulator.start_trial(trial_id)
    simulator.epochs("0000", 0.25, 0.5, 0.75, 1.0)
    simulator.journal.end_trial("0000", "completed")
    simulator.epochs("0001", 0.25, verdict=Verdict(1, 0.75, 0.5, 1, action="stop"))
    simulator.journal.end_trial("0001", "stopped")
    simulator.epochs("0002", 0.3, 0.6)
    text = rendered(WatchedSearch(simulator.paths))
    assert "mine is being run by process " in text
    assert "2/4 trials" in text
    assert "1 running, 1 completed, 1 stopped early" in text
    assert "best: trial 0000, val_loss 0.0000, val_accuracy 100.00%" in text
    assert "7 epochs trained, 11 saved" in text
    assert "running    0002 ▁▄        60.00% 2/8" in text
    assert "best       0000 ▁▃▆█     100.00% 4/8" in text
    assert "rung at epoch 1: 1 trial, 1 paused or stopped, cutoff 0.5000" in text


def test_running_trials_without_a_curve_are_counted(simulator):
    for number in range(12):
        simulator.start_trial(f"{number:04d}")
        simulator.epochs(f"{number:04d}", 0.5)
    text = rendered(WatchedSearch(simulator.paths), height=60)
    shown = text.count("running    00")
    assert 0 < shown < 12
    assert f"… and {12 - shown} more running" in text
    simulator.release()
    assert f"… and {12 - shown} more unfinished" in rendered(
        WatchedSearch(simulator.paths), height=60
    )


def test_an_ended_search_whose_process_retrains_is_not_running(simulator):
    simulator.journal.clock = lambda: 600.0
    simulator.start_trial("0000")
    simulator.epochs("0000", *[0.5] * 8)
    simulator.journal.end_trial("0000", "completed")
    simulator.start_trial("0001")
    simulator.epochs("0001", 0.5)
    simulator.end_session()
    text = rendered(WatchedSearch(simulator.paths))
    assert "1 unfinished, 1 completed" in text
    assert "unfinished 0001" in text
    assert "remaining" not in text


def test_an_exhausted_space_has_no_chance_of_a_better_winner(tmp_path):
    values = {"type": "choice", "values": [0.01, 0.02]}
    for reason, chance in ((EXHAUSTED, False), ("the time budget is exhausted", True)):
        simulator = SearchSimulator(tmp_path / reason, {"learning_rate": values})
        simulator.journal.clock = lambda: 600.0
        simulator.start_trial("0000")
        simulator.epochs("0000", *[0.5] * 8)
        simulator.journal.end_trial("0000", "completed")
        simulator.journal.end_session(reason, interrupted=False)
        assert ("chance of a better" in rendered(WatchedSearch(simulator.paths))) == chance
        simulator.release()


def test_diverged_trials_are_neither_best_nor_save_epochs(simulator):
    simulator.start_trial("0000")
    simulator.epochs("0000", 0.9)
    simulator.journal.end_trial("0000", "diverged")
    text = rendered(WatchedSearch(simulator.paths))
    assert "no trial has a result yet" in text
    assert "best   " not in text
    assert "1 epoch trained, 0 saved by early stopping" in text
    simulator.start_trial("0001")
    simulator.epochs("0001", 0.5)
    text = rendered(WatchedSearch(simulator.paths))
    assert "best: trial 0001" in text
    assert "best       0000" not in text


def test_time_advances_between_events_of_a_running_search(simulator):
    simulator.journal.clock = lambda: 50.0
    simulator.start_trial("0000")
    later = simulator.journal.updated_at + 3600
    assert "1h50s elapsed" in rendered(WatchedSearch(simulator.paths, now=lambda: later))
    simulator.release()
    assert "50s elapsed" in rendered(WatchedSearch(simulator.paths, now=lambda: later))


def test_refresh_reads_only_new_events(simulator):
    simulator.start_trial("0000")
    watched = WatchedSearch(simulator.paths)
    assert watched.refresh() == 0
    simulator.epochs("0000", 0.5, 0.6)
    assert watched.refresh() == 2
    assert watched.refresh() == 0
    assert [m.val_accuracy for m in watched.ranked[0].epochs] == [0.5, 0.6]
    assert watched.search.journal.records == simulator.journal.records


def test_an_incomplete_line_is_read_once_complete(simulator):
    simulator.start_trial("0000")
    simulator.epochs("0000", 0.5)
    complete = simulator.paths.journal.read_bytes()
    simulator.paths.journal.write_bytes(complete[:-30])
    watched = WatchedSearch(simulator.paths)
    assert not watched.ranked[0].epochs
    simulator.paths.journal.write_bytes(complete)
    assert watched.refresh() == 1
    assert len(watched.ranked[0].epochs) == 1


def test_damage_is_reported_with_its_line_while_watching(simulator):
    simulator.start_trial("0000")
    watched = WatchedSearch(simulator.paths)
    with simulator.paths.journal.open("ab") as file:
        file.write(b"rubbish\n")
    simulator.epochs("0000", 0.5)
    with pytest.raises(ResultsError, match="line 3 is damaged"):
        watched.refresh()


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_ends_with_the_search_and_reports_each_trial(simulator, terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=60, highlight=False)
    simulator.start_trial("0000")
    watched = WatchedSearch(simulator.paths)
    thread = threading.Thread(target=watch, args=(watched, console, 0.01))
    thread.start()
    simulator.epochs("0000", *[0.5] * 8)
    simulator.journal.end_trial("0000", "completed")
    simulator.start_trial("0001")
    simulator.epochs("0001", math.nextafter(0.75, 0))
    simulator.journal.end_trial("0001", "stopped")
    simulator.end_session()  # its process stays alive: it retrains, say
    thread.join(timeout=60)
    assert not thread.is_alive()
    text = out.getvalue()
    assert "mine has ended: all trials are done" in text
    assert "best: trial 0001" in text
    if not terminal:
        assert "\x1b" not in text
        assert "trial 0000 completed after 8 epochs: val_accuracy 50.00%" in text
        assert text.count("trial 0001 stopped early after 1 epoch:") == 1


def test_watching_follows_a_resumed_search_and_its_new_budget(simulator):
    simulator.start_trial("0000")
    simulator.end_session()
    watched = WatchedSearch(simulator.paths)
    assert not watched.is_finished, "its lock is held: it may be about to resume"
    text = simulator.paths.search_config.read_text()
    simulator.paths.search_config.write_text(text.replace("trials: 4", "trials: 9"))
    simulator.journal.start_session(Session("f00d", {}))
    watched.refresh()
    assert watched.running
    assert "0/9 trials" in rendered(watched)
    simulator.end_session()
    watched.refresh()
    assert watched.is_finished


def test_ctrl_c_ends_watching_without_an_error(simulator):
    simulator.start_trial("0000")
    simulator.epochs("0000", 0.5)
    results = str(simulator.paths.root.parent)
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "tune_main.py"), "watch", "mine", "--results", results],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert "mine is being run by process " in lines[0]
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_a_search_with_a_dead_process_is_reported_interrupted(simulator):
    simulator.start_trial("0000")
    simulator.epochs("0000", 0.5)
    watched = WatchedSearch(simulator.paths)
    simulator.release()
    watched.refresh()
    assert watched.is_finished
    text = rendered(watched)
    assert "mine was interrupted; resume with: python -m handsigns resume mine --results" in text
    assert "1 unfinished" in text
    assert "unfinished 0000" in text


def test_watching_never_blocks_the_lock_of_a_search(simulator):
    simulator.release()
    stop = threading.Event()

    def keep_watching():
        while not stop.is_set():
            WatchedSearch(simulator.paths)

    threads = [threading.Thread(target=keep_watching) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            with search_lock(simulator.paths):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_output_fits_narrow_terminals_and_escapes_control_characters(tmp_path):
    hostile = {"type": "choice", "values": ["\x1b[2Jowned\n" + "x" * 60, "b"]}
    space = {**SPACE, "architecture": "my:net", "custom": {"text": hostile}}
    simulator = SearchSimulator(tmp_path, space)
    for number in range(4):
        simulator.start_trial(
            f"{number:04d}", architecture="my:net", **{"custom.text": hostile["values"][0]}
        )
        simulator.epochs(f"{number:04d}", *[0.1 * number] * 6)
    watched = WatchedSearch(simulator.paths)
    for width in (40, 80, 200):
        text = rendered(watched, width)
        assert all(len(line) <= width for line in text.splitlines()), text
        assert "\x1b" not in text
        assert "30.00% 6/8" in text
    simulator.release()


def test_a_search_without_trials_is_rendered(simulator):
    text = rendered(WatchedSearch(simulator.paths))
    assert "no trial has a result yet" in text
    assert "0/4 trials" in text


def test_a_sparkline_bar_shows_the_last_of_its_values():
    assert sparkline([0.0, 0.5, 1.0], 0, 1, 10, 3) == "▁▅█"
    assert sparkline([i / 99 for i in range(100)], 0, 1, 4, 100) == "▂▄▆█"
    assert sparkline([0.1] * 3, 0, 1, 4, 100) == "▁"
    assert sparkline([0.5, 0.5], 0.5, 0.5, 4, 4) == "██"
