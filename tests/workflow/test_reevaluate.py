"""Which plan a re-evaluation takes: what was interrupted, what is larger, what is asked for."""

import dataclasses

import pytest

from handsigns.cli import main
from handsigns.io.json_file import write_json
from handsigns.results.journal import Journal
from handsigns.results.reevaluation import RepeatPlan
from handsigns.results.store import open_search
from handsigns.results.trial import Placement, Session
from handsigns.workflow.reevaluate import choose_plan
from tests.support.records import epoch_of

HERE = Placement("laptop/1", "cpu", 1)


@pytest.fixture
def evaluate(make_search):
    """Writes a re-evaluation of so many trials, of which so many runs have ended."""
    stored = make_search(trials=8, trouble=False)
    best = [record.trial_id for record in stored.ranked]

    def make(top, seeds, folds, ended=None):
        plan = RepeatPlan(tuple(best[:top]), seeds, folds)
        paths = stored.paths.repeats
        paths.root.mkdir(exist_ok=True)
        write_json(paths.plan, dataclasses.asdict(plan))
        if ended != 0:
            journal = Journal(paths.journal, writable=True)
            journal.open_session(Session(stored.data.info.fingerprint, {}))
            for trial_id, run in plan.repeats[:ended]:
                journal.start(run.spec(stored.journal[trial_id], 1))
                journal.report(run.trial_id(trial_id), epoch_of(1, 0.1), HERE)
                journal.end(run.trial_id(trial_id), "completed")
            journal.close()
        return open_search(stored.paths), plan

    return make


@pytest.mark.parametrize("ended", [0, 1, 59])
def test_an_interrupted_plan_is_resumed_as_it_is(evaluate, capsys, ended):
    search, plan = evaluate(2, 6, 5, ended)
    assert not search.plan_finished
    assert choose_plan(search, {"time_budget": "10m"}) == (plan, 600.0)
    assert "resumed as planned" in capsys.readouterr().out


def test_a_smaller_one_replaces_a_larger_one_only_when_asked(evaluate):
    search, plan = evaluate(2, 6, 5)
    assert search.plan_finished
    assert choose_plan(search, {"top": None, "seeds": None}) == (plan, None)
    smaller, _ = choose_plan(search, {"seeds": 1, "folds": 0})
    assert (len(smaller.trial_ids), smaller.seeds, smaller.folds) == (3, 1, 0)


def test_a_larger_one_replaces_a_smaller_one(evaluate):
    search, _ = evaluate(1, 1, 0)
    plan, _ = choose_plan(search, {})
    own = search.study.reevaluation
    assert (len(plan.trial_ids), plan.seeds, plan.folds) == (own.top, own.seeds, own.folds)


def test_a_damaged_plan_is_made_anew(evaluate):
    search, _ = evaluate(2, 6, 5, 1)
    search.paths.repeats.plan.write_text("{")
    plan, _ = choose_plan(open_search(search.paths), {"top": 2, "seeds": 1, "folds": 0})
    assert len(plan.names) == 2
    assert choose_plan(open_search(search.paths), {})[0].seeds == search.study.reevaluation.seeds


def test_the_help_names_the_defaults_that_apply(capsys):
    with pytest.raises(SystemExit):
        main(["reevaluate", "--help"])
    assert " ".join(capsys.readouterr().out.split()).count("default: the search's own") == 3


def test_ctrl_c_before_the_first_run_says_how_to_resume(evaluate, monkeypatch, capsys):
    search, _ = evaluate(2, 6, 5, 1)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("handsigns.workflow.reevaluate.open_unchanged", lambda *_: None)
    monkeypatch.setattr("handsigns.tuning.reevaluation.reevaluate", interrupt)
    root = str(search.paths.root.parent)
    assert main(["reevaluate", search.paths.name, "--results", root]) == 130
    assert "resume with: python -m handsigns reevaluate scripted" in capsys.readouterr().err
