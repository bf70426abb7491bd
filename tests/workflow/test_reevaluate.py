"""Choice of the re-evaluation plan: interrupted, larger, or explicitly requested."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import handsigns
from handsigns.cli import main
from handsigns.config.user_code import UserCode, UserModule, save_user_code
from handsigns.io.json_file import write_json
from handsigns.results.journal import Journal
from handsigns.results.reevaluation import ReevaluationPlan
from handsigns.results.store import open_search
from handsigns.results.trial import Placement, Session
from handsigns.tuning.request import SearchResult
from handsigns.workflow.reevaluate import choose_plan
from handsigns.workflow.user_code import load_user_code_for_trials
from tests.support.records import make_epoch_metrics, make_spec

HERE = Placement("laptop/1", "cpu", 1)


@pytest.fixture
def make_reevaluation(make_search):
    """Return a function that writes a re-evaluation with a number of finished runs."""
    stored = make_search(trials=8, with_failures=False)
    best = [record.trial_id for record in stored.ranked]

    def make(top, seeds, folds, num_finished=None):
        plan = ReevaluationPlan(tuple(best[:top]), seeds, folds)
        paths = stored.paths.reevaluation
        paths.root.mkdir(exist_ok=True)
        write_json(paths.plan, dataclasses.asdict(plan))
        if num_finished != 0:
            journal = Journal(paths.journal, writable=True)
            journal.start_session(Session(stored.data.info.fingerprint, {}))
            for trial_id, run in plan.trial_runs[:num_finished]:
                journal.start_trial(run.spec(stored.journal[trial_id], 1))
                journal.report_epoch(run.trial_id(trial_id), make_epoch_metrics(1, 0.1), HERE)
                journal.end_trial(run.trial_id(trial_id), "completed")
            journal.close()
        return open_search(stored.paths), plan

    return make


@pytest.mark.parametrize("num_finished", [0, 1, 59])
def test_an_interrupted_plan_is_resumed_unchanged(make_reevaluation, capsys, num_finished):
    search, plan = make_reevaluation(2, 6, 5, num_finished)
    assert not search.reevaluation_finished
    assert choose_plan(search, {"time_budget": "10m"}) == (plan, 600.0)
    assert "resuming the unfinished re-evaluation" in capsys.readouterr().out


def test_a_smaller_plan_replaces_a_larger_one_only_on_request(make_reevaluation):
    search, plan = make_reevaluation(2, 6, 5)
    assert search.reevaluation_finished
    assert choose_plan(search, {"top": None, "seeds": None}) == (plan, None)
    smaller, _ = choose_plan(search, {"seeds": 1, "folds": 0})
    assert (len(smaller.trial_ids), smaller.seeds, smaller.folds) == (3, 1, 0)


def test_a_larger_plan_replaces_a_smaller_one(make_reevaluation):
    search, _ = make_reevaluation(1, 1, 0)
    plan, _ = choose_plan(search, {})
    default = search.config.reevaluation
    expected = (default.top, default.seeds, default.folds)
    assert (len(plan.trial_ids), plan.seeds, plan.folds) == expected


def test_a_damaged_plan_is_replaced(make_reevaluation):
    search, _ = make_reevaluation(2, 6, 5, 1)
    search.paths.reevaluation.plan.write_text("{")
    plan, _ = choose_plan(open_search(search.paths), {"top": 2, "seeds": 1, "folds": 0})
    assert len(plan.run_ids) == 2
    assert choose_plan(open_search(search.paths), {})[0].seeds == search.config.reevaluation.seeds


def test_help_names_the_applicable_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["reevaluate", "--help"])
    assert " ".join(capsys.readouterr().out.split()).count("default: the search's own") == 3


def test_ctrl_c_before_the_first_run_prints_the_resume_command(
    make_reevaluation, make_split, monkeypatch, capsys
):
    search, _ = make_reevaluation(2, 6, 5, 1)
    train = make_split(30)
    one_group = np.where(train.labels == 0, 0, np.arange(30))
    train = dataclasses.replace(train, groups=one_group)
    val = dataclasses.replace(make_split(9), groups=np.arange(30, 39))
    data = SimpleNamespace(train=train, val=val)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("handsigns.workflow.reevaluate.open_verified_data", lambda *_: data)
    monkeypatch.setattr("handsigns.tuning.reevaluation.reevaluate", interrupt)
    root = str(search.paths.root.parent)
    options = ["--address", "host:6379", "--data", "moved"]
    assert main(["reevaluate", search.paths.name, *options, "--results", root]) == 130
    output = capsys.readouterr()
    command = f"python -m handsigns reevaluate scripted {' '.join(options)} --results"
    assert f"resume with: {command}" in " ".join(output.err.split())
    note = "to keep groups together, the folds differ by up to 10 images of a class"
    assert note in " ".join(output.out.split())


def test_an_interrupted_session_raises_the_resume_command(
    make_reevaluation, make_split, monkeypatch
):
    search, _ = make_reevaluation(2, 6, 0, 1)
    data = SimpleNamespace(train=make_split(30), val=make_split(9))
    outcome = SearchResult((), "interrupted", interrupted=True)
    monkeypatch.setattr("handsigns.workflow.reevaluate.open_verified_data", lambda *_: data)
    monkeypatch.setattr("handsigns.tuning.reevaluation.reevaluate", lambda *_, **__: outcome)
    with pytest.raises(KeyboardInterrupt, match=r"resume with: .* reevaluate scripted"):
        handsigns.reevaluate("scripted", results=search.paths.root.parent)


def test_user_code_of_all_top_trials_is_loaded(make_search, tmp_path, capsys):
    paths = make_search(trials=0).paths
    user_code = UserCode({"mine": UserModule("mine", "x = 1\n", tmp_path / "mine.py")})
    save_user_code(paths.user_code, user_code)
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session("f00d", {"user_code": user_code.code_metadata()}))
    for trial_id, architecture in {"0000": "compact", "0001": "mine:net"}.items():
        journal.start_trial(make_spec(trial_id, {"architecture": architecture}))
        journal.report_epoch(trial_id, make_epoch_metrics(1, 0.1 + int(trial_id)), HERE)
        journal.end_trial(trial_id, "completed")
    journal.close()
    search = open_search(paths)
    assert [record.trial_id for record in search.ranked] == ["0000", "0001"]
    loaded = load_user_code_for_trials(search, search.ranked, allowed=True)
    assert loaded.modules["mine"].source == "x = 1\n"
    arguments = ("reevaluate", paths.name, "--results", str(paths.root.parent), "--folds", "0")
    assert main(arguments) == 2
    assert "mine:net would run the code in" in capsys.readouterr().err


def test_trials_of_another_version_of_user_code_are_left_out(
    make_search, make_split, tmp_path, monkeypatch, capsys
):
    paths = make_search(trials=0).paths
    journal = Journal(paths.journal, writable=True)
    for trial_id, source in {"0000": "x = 1\n", "0001": "x = 2\n", "0002": "x = 1\n"}.items():
        user_code = UserCode({"mine": UserModule("mine", source, tmp_path / "mine.py")})
        save_user_code(paths.user_code, user_code)
        journal.start_session(Session("f00d", {"user_code": user_code.code_metadata()}))
        journal.start_trial(make_spec(trial_id, {"architecture": "mine:net"}))
        journal.report_epoch(trial_id, make_epoch_metrics(1, 0.1 + int(trial_id)), HERE)
        journal.end_trial(trial_id, "completed")
    journal.close()
    data = SimpleNamespace(train=make_split(30), val=make_split(9))
    monkeypatch.setattr("handsigns.workflow.reevaluate.open_verified_data", lambda *_: data)
    called = []

    def reevaluate(search, data, plan, *_, user_code, **__):
        called.append((plan.trial_ids, user_code.modules["mine"].source))
        raise KeyboardInterrupt

    monkeypatch.setattr("handsigns.tuning.reevaluation.reevaluate", reevaluate)
    options = ("--folds", "0", "--trust-user-code", "--results", str(paths.root.parent))
    assert main(("reevaluate", paths.name, *options)) == 130
    assert called == [(("0000", "0002"), "x = 1\n")]
    assert "trial 0001 is not re-evaluated" in capsys.readouterr().out
