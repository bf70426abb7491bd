"""Audit, replay, retraining and test, of a search whose one trial was trained without Ray."""

import json
import shutil

import pytest
import torch

import handsigns
from handsigns.cli import main
from handsigns.config.validate import check_study
from handsigns.data.dataset import open_data
from handsigns.io.event_log import read_events, sealed
from handsigns.results.environment import describe_environment
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search
from handsigns.results.tables import write_tables
from handsigns.results.trial import Placement, Session
from handsigns.training.train import TrainingPlan, fit, start
from tests.support.records import make_spec

SECTIONS = {
    "space": {"learning_rate": 0.01, "channel_width": 4, "batch_size": 16},
    "budget": {"trials": 1, "max_epochs": 2},
    "scheduler": {"name": "none"},
}


@pytest.fixture(scope="module")
def trained(place, tmp_path_factory):
    """The folder of a finished search named `whole`."""
    study, problems = check_study(SECTIONS)
    assert study is not None, problems
    bands = place.root / "bands"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDSIGNS_CACHE", place.environment["HANDSIGNS_CACHE"])
        data = open_data(bands, size=16)
    paths = SearchPaths(tmp_path_factory.mktemp("trained") / "whole")
    begin_search(paths, study, DataRecord(data.info, str(bands), 16, False))
    journal = Journal(paths.journal, writable=True)
    journal.open_session(Session(data.info.fingerprint, describe_environment()))
    record = journal.start(make_spec("0000", SECTIONS["space"], study_seed=study.seed))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    plan = TrainingPlan(record.config, 3, 16, 2, record.seed, torch.device("cpu"), None)
    for metrics in fit(start(plan), data.train, data.val):
        journal.report("0000", metrics, Placement("here/1", "cpu", 1))
    torch.set_num_threads(threads)
    journal.end("0000", "completed")
    write_tables(paths, journal, study.objective)
    journal.close()
    return paths.root


@pytest.fixture
def whole(trained, place, tmp_path, monkeypatch):
    """A copy of that search in the current results folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSIGNS_CACHE", place.environment["HANDSIGNS_CACHE"])
    shutil.copytree(trained, tmp_path / "results" / "whole")
    return SearchPaths(tmp_path / "results" / "whole")


def alter_epoch(paths):
    events, _ = read_events(paths.journal)
    epoch = next(event for event in events if event["event"] == "epoch")
    epoch["metrics"]["val_loss"] += 1e-9
    paths.journal.write_bytes(b"".join(map(sealed, events)))


def alter_table(paths):
    text = paths.trials.read_text()
    paths.trials.write_text(text.replace("completed", "stopped"))


def ask_for_more(paths):
    paths.study.write_text(paths.study.read_text().replace("trials: 1", "trials: 2"))


def leave_something(paths):
    (paths.root / ".journal.1-dead.tmp").touch()


def test_nothing_is_wrong_with_a_finished_search(whole, capsys):
    assert main(["audit", "whole"]) == 0
    assert capsys.readouterr().out == "1 trial, 0 resumed, 1 replayed\n"


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (alter_epoch, "wrong: trial 0000, epoch 1: val_loss was "),
        (alter_table, "wrong: trials.csv is another than it should be"),
        (ask_for_more, "wrong: 1 trial instead of 2"),
        (leave_something, "wrong: results/whole/.journal.1-dead.tmp was left behind"),
    ],
)
def test_every_alteration_is_found(whole, capsys, alter, problem):
    alter(whole)
    assert main(["audit", "whole"]) == 1
    assert problem in capsys.readouterr().out


def test_a_replay_from_python_says_where_it_differs(whole):
    assert handsigns.replay("whole", "0").identical
    alter_epoch(whole)
    result = handsigns.replay("whole", "0000")
    assert not result.identical
    assert [(found.epoch, found.metric) for found in result.differences] == [(1, "val_loss")]
    assert [metrics.epoch for metrics in result.epochs] == [1, 2]


def test_the_command_replay_tells_the_same(whole, capsys):
    assert main(["replay", "whole", "0000"]) == 0
    assert "identical: trial 0000, 2 epochs" in capsys.readouterr().out
    alter_epoch(whole)
    assert main(["replay", "whole", "0000"]) == 1
    told = capsys.readouterr().out
    assert "epoch 1: val_loss " in told
    assert "different: trial 0000, 2 epochs" in told


def test_retraining_and_testing_open_the_search_once(whole, count_openings):
    assert main(["retrain", "whole", "--seeds", "1", "--no-report"]) == 0
    assert count_openings() == 1
    assert main(["test", "whole", "--no-report"]) == 0
    assert count_openings() == 1
    assert json.loads((whole.winner / "test.json").read_text())["total"] == 24
