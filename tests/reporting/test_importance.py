import sys

import pytest

from handsigns.reporting.importance import importances


def silent(done, total):
    pass


@pytest.mark.versions
def test_what_decides_comes_first_with_its_uncertainty(make_search):
    found = importances(make_search(trials=90), silent)
    assert found.each[0].name == "learning_rate"
    assert sum(one.share for one in found.each) > 0.99
    assert all(0 <= one.low <= one.high <= 1 for one in found.each)
    assert found.each[0].low < found.each[0].high
    assert importances(make_search("again", trials=90), silent) == found


def test_too_few_trials_say_nothing(make_search):
    assert importances(make_search(trials=8), silent) is None


def test_no_further_library_is_needed(make_search, monkeypatch):
    # Other importances of Optuna's need scikit-learn, which is none of our dependencies.
    for name in [n for n in sys.modules if n.split(".")[0] in ("sklearn", "optuna")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "handsigns.policy.optuna_space", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert importances(make_search(trials=30), silent) is not None
