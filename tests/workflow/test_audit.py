"""Audit, replay and test of a search with one trial, trained without Ray."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import handsigns
from handsigns.cli import main
from handsigns.config.validate import validate_search_config
from handsigns.data.dataset import open_data
from handsigns.io.event_log import encode_event, read_events
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, create_search, open_search
from handsigns.results.tables import write_tables
from handsigns.results.trial import Placement, Session, Verdict
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs
from handsigns.tuning.scheduler import make_stopping_rule
from handsigns.workflow.audit_decisions import check_decisions
from tests.support.records import make_epoch_metrics, make_search_config, make_spec
from tests.support.retraining import plan_of, write_runs
from tests.support.scripted import simulate_search

SECTIONS = {
    "space": {"learning_rate": 0.01, "channel_width": 4, "batch_size": 16},
    "budget": {"trials": 1, "max_epochs": 2},
    "scheduler": {"name": "none"},
}


PROMOTING = {
    "scheduler": {"name": "asha_promotion", "grace_period": 3, "reduction_factor": 3},
    "baseline": False,
}


@pytest.fixture(scope="module")
def finished_root(workspace, tmp_path_factory):
    """Folder of a finished search."""
    config, problems = validate_search_config(SECTIONS)
    assert config is not None, problems
    bands = workspace.root / "bands"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDSIGNS_CACHE", workspace.environment["HANDSIGNS_CACHE"])
        data = open_data(bands, size=16)
    paths = SearchPaths(tmp_path_factory.mktemp("finished_root") / "finished")
    create_search(paths, config, DataRecord(data.info, str(bands), 16, False))
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session(data.info.fingerprint, describe_environment()))
    record = journal.start_trial(make_spec("0000", SECTIONS["space"], search_seed=config.seed))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    plan = TrainingPlan(record.config, 3, 16, 2, record.seed, torch.device("cpu"), None)
    for metrics in train_epochs(init_state(plan), data.train, data.val):
        journal.report_epoch("0000", metrics, Placement("here/1", "cpu", 1))
    torch.set_num_threads(threads)
    journal.end_trial("0000", "completed")
    write_tables(paths, journal, config.objective)
    journal.end_session("all trials are done", interrupted=False)
    journal.close()
    return paths.root


@pytest.fixture
def finished(finished_root, workspace, tmp_path, monkeypatch):
    """Paths of a copy of the search in the current results folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSIGNS_CACHE", workspace.environment["HANDSIGNS_CACHE"])
    shutil.copytree(finished_root, tmp_path / "results" / "finished")
    return SearchPaths(tmp_path / "results" / "finished")


def alter_epoch(paths):
    events, _ = read_events(paths.journal)
    epoch = next(event for event in events if event["event"] == "epoch")
    epoch["metrics"]["val_loss"] += 1e-9
    paths.journal.write_bytes(b"".join(map(encode_event, events)))


def alter_table(paths):
    text = paths.trials.read_text()
    paths.trials.write_text(text.replace("completed", "stopped"))


def remove_table(paths):
    paths.trials.unlink()


def alter_line_ends(paths):
    paths.trials.write_bytes(paths.trials.read_bytes().replace(b"\n", b"\r\n"))


def raise_budget(paths):
    paths.search_config.write_text(
        paths.search_config.read_text().replace("trials: 1", "trials: 2")
    )


def leave_temporary_file(paths):
    (paths.root / ".journal.1-dead.tmp").touch()


def test_a_finished_search_passes_the_audit(finished, capsys):
    assert main(["audit", "finished"]) == 0
    assert capsys.readouterr().out.startswith("1 trial, 0 resumed, 1 replayed\nnext: ")


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (alter_epoch, "problem: trial 0000, epoch 1: val_loss was recorded as "),
        (alter_table, "problem: trials.csv differs from the table recomputed from"),
        (remove_table, "problem: trials.csv is missing"),
        (alter_line_ends, "problem: trials.csv differs from the table recomputed from"),
        (raise_budget, "problem: 1 trial instead of 2"),
        (
            leave_temporary_file,
            "problem: leftover temporary file: results/finished/.journal.1-dead.tmp",
        ),
    ],
)
def test_every_alteration_is_detected(finished, capsys, alter, problem):
    alter(finished)
    assert main(["audit", "finished"]) == 1
    assert problem in capsys.readouterr().out


def test_trials_on_images_that_have_changed_are_not_replayed(finished, capsys):
    events, _ = read_events(finished.journal)
    events[0]["fingerprint"] = "f00d"
    finished.journal.write_bytes(b"".join(map(encode_event, events)))
    assert main(["audit", "finished"]) == 0
    assert capsys.readouterr().out.startswith(
        "1 trial, 0 resumed, 0 replayed\n"
        "note: 1 trial not replayed, as the images have changed since\n"
    )


def test_replay_in_python_returns_the_differences(finished):
    assert handsigns.replay("finished", "0").identical
    alter_epoch(finished)
    result = handsigns.replay("finished", "0000")
    assert not result.identical
    assert [(found.epoch, found.metric) for found in result.differences] == [(1, "val_loss")]
    assert [metrics.epoch for metrics in result.epochs] == [1, 2]


def test_the_replay_command_prints_the_differences(finished, capsys):
    assert main(["replay", "finished", "0000"]) == 0
    assert "identical: trial 0000, 2 epochs" in capsys.readouterr().out
    alter_epoch(finished)
    assert main(["replay", "finished", "0000"]) == 1
    output = capsys.readouterr().out
    assert "epoch 1: val_loss recorded as " in output
    assert "different: trial 0000, 2 epochs" in output


def test_retrain_and_test_open_the_search_once(finished, count_openings):
    search = open_search(finished)
    data = open_data(Path(search.data.folder), size=16)
    write_runs(search, data, plan_of(search, search.trial(None), 1))
    assert main(["retrain", "finished", "--seeds", "1", "--no-report"]) == 0
    assert count_openings() == 1
    assert main(["test", "finished", "--no-report"]) == 0
    assert count_openings() == 1
    assert json.loads((finished.winner / "test.json").read_text())["total"] == 24


def test_a_trial_that_ended_waiting_is_not_to_be_promoted(tmp_path):
    """The search was extended: what waited when it ended before is not promoted."""
    stored = simulate_search(tmp_path, trials=0, **PROMOTING)
    journal = Journal(stored.paths.journal, writable=True)
    _pause_trials(journal, 3)
    for number in range(3):
        journal.end_trial(f"{number:04d}", "stopped")
    journal.start_trial(make_spec("0003"))
    journal.close()
    assert list(check_decisions(open_search(stored.paths))) == []


@pytest.mark.parametrize(
    ("trials", "problems"), [(2, []), (40, ["trial 0000 was promoted, though it was to wait"])]
)
def test_a_promotion_is_judged_by_the_budget_of_its_session(tmp_path, trials, problems):
    """Where all trials had started, the best of the rung was promoted; then it was extended."""
    stored = simulate_search(tmp_path, trials=0, **PROMOTING)
    journal = Journal(stored.paths.journal, writable=True)
    journal.start_session(Session("f00d", {}, trials=trials))
    _pause_trials(journal, 2)
    journal.resume_trial("0000")
    journal.start_session(Session("f00d", {}, trials=40))
    journal.close()
    assert list(check_decisions(open_search(stored.paths))) == problems


@pytest.mark.parametrize(
    ("limits", "problems"),
    [({"parameters": 40_000}, []), ({}, ["trial 0000 was promoted, though it was to wait"])],
)
def test_limits_leave_fewer_trials_to_start(tmp_path, limits, problems):
    space = {"channel_width": {"type": "choice", "values": [4, 8, 12, 16]}}
    config, _ = validate_search_config(
        {"space": space, "budget": {"trials": 40, "max_epochs": 36}, "limits": limits, **PROMOTING}
    )
    data = simulate_search(tmp_path, trials=0).data
    paths = SearchPaths(tmp_path / "limited")
    create_search(paths, config, data)
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session("f00d", {}, trials=40))
    _pause_trials(journal, 2)
    journal.resume_trial("0000")
    journal.end_session("no improvement in 2 trials", interrupted=False)
    journal.close()
    assert list(check_decisions(open_search(paths))) == problems


def test_several_rungs_may_be_passed_in_one_epoch(tmp_path):
    asha = {"name": "asha", "grace_period": 1, "reduction_factor": 1.4}
    config = make_search_config(scheduler=asha, budget={"trials": 3, "max_epochs": 12})
    paths = SearchPaths(tmp_path / "asha")
    create_search(paths, config, simulate_search(tmp_path, trials=0).data)
    journal, rule = Journal(paths.journal, writable=True), make_stopping_rule(config)
    journal.start_session(Session("f00d", {}))
    for number in range(3):
        trial_id, status = f"{number:04d}", "completed"
        journal.start_trial(make_spec(trial_id))
        for epoch in range(1, 13):
            metrics = make_epoch_metrics(epoch, abs(number - 1) + 1 / epoch)
            _, verdict = rule.decide(trial_id, metrics)
            journal.report_epoch(trial_id, metrics, Placement("here/1", "cpu", 1), verdict)
            if verdict is not None and verdict.action == "stop":
                status = "stopped"
                break
        journal.end_trial(trial_id, status)
    journal.close()
    search = open_search(paths)
    assert [record.status for record in search.journal.records] == [
        "completed",
        "completed",
        "stopped",
    ]
    assert list(check_decisions(search)) == []


def test_once_all_started_the_best_of_each_rung_continues(tmp_path):
    """One worker: the only trial of the second rung continues before others of the first."""
    paths, journal = _all_paused(tmp_path, 6)
    journal.resume_trial("0000")
    for epoch in range(4, 10):
        verdict = Verdict(9, 0.5, None, 0, "pause") if epoch == 9 else None
        metrics = make_epoch_metrics(epoch, 0.5)
        journal.report_epoch("0000", metrics, Placement("here/1", "cpu", 1), verdict)
    journal.resume_trial("0000")
    journal.close()
    assert list(check_decisions(open_search(paths))) == []


def test_the_next_best_may_follow_a_failed_trial(tmp_path):
    paths, journal = _all_paused(tmp_path, 2)
    journal.resume_trial("0000")
    journal.end_trial("0000", "diverged")
    journal.resume_trial("0001")
    journal.close()
    assert list(check_decisions(open_search(paths))) == []


def test_a_pause_of_the_recipe_is_reported(tmp_path):
    stored = simulate_search(tmp_path, trials=0, **PROMOTING | {"baseline": True})
    journal = Journal(stored.paths.journal, writable=True)
    _pause_trials(journal, 2)
    journal.close()
    (problem,) = check_decisions(open_search(stored.paths))
    assert problem.startswith("trial 0000, epoch 3: ")
    assert problem.endswith("expected continue")


def _all_paused(tmp_path: Path, trials: int) -> tuple[SearchPaths, Journal]:
    """Return a search of which all trials are paused, and its open journal."""
    paths = simulate_search(tmp_path, trials=0, **PROMOTING).paths
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session("f00d", {}, trials=trials))
    _pause_trials(journal, trials)
    return paths, journal


def _pause_trials(journal: Journal, count: int) -> None:
    """Start trials at once that pause at epoch 3, each poorer than the one before."""
    trial_ids = [f"{number:04d}" for number in range(count)]
    for trial_id in trial_ids:
        journal.start_trial(make_spec(trial_id))
    for number, trial_id in enumerate(trial_ids):
        for epoch in range(1, 4):
            verdict = Verdict(3, 0.5 + number, None, number, "pause") if epoch == 3 else None
            metrics = make_epoch_metrics(epoch, 0.5 + number)
            journal.report_epoch(trial_id, metrics, Placement("here/1", "cpu", 1), verdict)
