import sys

import pytest

from handsigns.reporting.importance import importances


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


def test_too_few_trials_give_no_estimate(make_search):
    assert importances(make_search(trials=8), no_progress) is None


def test_scikit_learn_is_not_required(make_search, monkeypatch):
    # Optuna's other importance evaluators require scikit-learn, which is not a dependency.
    for name in [n for n in sys.modules if n.split(".")[0] in ("sklearn", "optuna")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "handsigns.policy.optuna_space", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert importances(make_search(trials=30), no_progress) is not None
