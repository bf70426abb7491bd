"""Display of search results at a prompt and in a notebook."""

import pytest

import handsigns
from tests.support.scripted import HOSTILE_STRINGS


@pytest.mark.parametrize("trials", [0, 1, 30])
def test_repr_is_one_short_line(make_search, trials):
    search = make_search("mine", trials=trials)
    results = handsigns.load_results("mine", results=search.paths.root.parent)
    text = repr(results)
    assert text.startswith("<SearchResults mine: ")
    assert len(text) < 250
    assert "\n" not in text
    if trials:
        best = search.trial(None)
        accuracy = f"{best.last_epoch.val_accuracy:.2%}"
        assert f"best: trial {best.trial_id}, val_accuracy {accuracy}" in text
        assert ("1 trial " if trials == 1 else "30 trials ") in text
    else:
        assert "no result yet" in text


def test_notebook_repr_shows_top_trials_and_escapes_markup(make_search):
    space = {
        "learning_rate": {"type": "log_uniform", "low": 3e-4, "high": 3e-2},
        "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
        "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
    }
    search = make_search("mine", trials=12, space=space)
    results = handsigns.load_results("mine", results=search.paths.root.parent)
    results.leaderboard["status"] = HOSTILE_STRINGS[0]
    page = results._repr_html_()
    assert page.count("<tr") == 6
    assert "<img" not in page
    assert "&lt;img" in page
    assert "learning_rate" in page
