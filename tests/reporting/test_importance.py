import dataclasses
import sys

import pytest

from handsigns.reporting import importance
from handsigns.reporting.figures.importance import slice_plot
from handsigns.reporting.importance import importances
from handsigns.results.journal import Journal
from handsigns.results.store import open_search
from handsigns.results.trial import Placement
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.scripted import SPACE


def no_progress(done, total):
    pass


@pytest.mark.slow
@pytest.mark.versions
def test_the_decisive_hyperparameter_ranks_first_with_an_interval(make_search):
    found = importances(make_search(trials=90), no_progress)
    assert found.parameters[0].name == "learning_rate"
    assert sum(p.share for p in found.parameters) > 0.99
    assert all(0 <= p.low <= p.high <= 1 for p in found.parameters)
    assert found.parameters[0].low < found.parameters[0].high
    assert importances(make_search("again", trials=90), no_progress) == found


@pytest.mark.versions
def test_a_conditional_hyperparameter_has_an_importance(make_search, monkeypatch):
    monkeypatch.setattr(importance, "_MAX_RESAMPLES", 2)
    monkeypatch.setattr(importance, "_MIN_RESAMPLES", 2)
    found = importances(make_search(trials=90), no_progress)
    assert {p.name: p.share for p in found.parameters}["momentum"] > 0


def test_too_few_trials_give_no_estimate(make_search):
    assert importances(make_search(trials=8), no_progress) is None


def test_only_trials_within_a_narrowed_space_count(make_search):
    search = make_search(trials=30)
    space = {**SPACE, "dropout": {"type": "uniform", "low": 0.0, "high": 1e-9}}
    config = make_search("narrow", trials=1, space=space).config
    assert importances(dataclasses.replace(search, config=config), no_progress) is None


def test_top_trials_are_counted_as_optuna_takes_them(make_search, monkeypatch):
    monkeypatch.setattr(importance, "_MAX_RESAMPLES", 2)
    monkeypatch.setattr(importance, "_MIN_RESAMPLES", 2)
    found = importances(make_search(trials=51, with_failures=False), no_progress)
    assert (found.trials, found.num_top_trials) == (51, 6)  # 5.1, rounded up


def test_scikit_learn_is_not_required(make_search, monkeypatch):
    # Optuna's other importance evaluators require scikit-learn, which is not a dependency.
    for name in [n for n in sys.modules if n.split(".")[0] in ("sklearn", "optuna")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "handsigns.policy.optuna_space", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert importances(make_search(trials=30), no_progress) is not None


@pytest.mark.parametrize(
    ("values", "angle"),
    [(["compact", "cs230"], 0), (["torchvision/resnet18", "torchvision/mobilenet_v3_small"], -40)],
)
def test_long_values_of_a_choice_are_written_at_an_angle(make_search, values, angle):
    space = SPACE | {"architecture": {"type": "choice", "values": values}}
    search = make_search(trials=0, space=space)
    journal = Journal(search.paths.journal, writable=True)
    journal.start_trial(make_spec("0000", {"architecture": values[0]}))
    journal.report_epoch("0000", make_epoch_metrics(1, 0.5), Placement("here/1", "cpu", 1))
    journal.close()
    figure = slice_plot(open_search(search.paths), "architecture")
    assert figure.spec["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] == angle
