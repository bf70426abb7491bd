"""Metrics of the winner that are exported to trackers."""

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.results.winner import ModelCard, write_model_card
from handsigns.tracking.base import TrackedSearch
from handsigns.winner.publish import _collect_metrics, publish


@pytest.fixture
def search(make_search):
    stored = make_search(trials=4)
    return TrackedSearch(stored.paths, stored.config, stored.data.info)


@pytest.fixture
def card():
    return ModelCard(
        config=TrialConfig(), classes=("a", "b"), size=16, epochs=7, seeds=(5, 6), search="first",
        trial_id="0003", selected_by="user", selected_after_test=False, fingerprint="f00d",
        git_revision=None, user_code={}, trained_seeds=(5, 6),
    )  # fmt: skip


def test_metrics_come_from_card_and_test(search, card, make_search, add_scripted_winner):
    card_metrics = {
        "trial_id": "0003", "selected_by": "user", "retraining_epochs": 7,
        "retraining_seed": "5, 6",
    }  # fmt: skip
    assert _collect_metrics(search, card) == card_metrics
    add_scripted_winner(make_search("tested", trials=4))
    tested = TrackedSearch(search.paths.for_name(search.paths.root.parent, "tested"), None, None)
    metrics = _collect_metrics(tested, card)
    assert metrics.pop("test_accuracy") == 204 / 216
    assert metrics.pop("test_ci95_low") == pytest.approx(0.9055, abs=5e-4)
    assert metrics.pop("test_ci95_high") == pytest.approx(0.9680, abs=5e-4)
    assert metrics == card_metrics


def test_a_damaged_test_result_is_not_published(search, card):
    search.paths.winner.mkdir()
    write_model_card(search.paths.winner, card)
    assert publish("tensorboard", search) == ""
    (search.paths.winner / "test.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"test\.json is damaged"):
        publish("tensorboard", search)
