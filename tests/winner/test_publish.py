"""What trackers are told of a winner."""

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.results.winner import ModelCard, write_card
from handsigns.tracking.base import TrackedSearch
from handsigns.winner.publish import _figures, publish


@pytest.fixture
def search(make_search):
    stored = make_search(trials=4)
    return TrackedSearch(stored.paths, stored.study, stored.data.info)


@pytest.fixture
def card():
    return ModelCard(
        config=TrialConfig(), classes=("a", "b"), size=16, epochs=7, seeds=(5, 6), search="first",
        trial_id="0003", chosen="by hand", chosen_after_test=False, fingerprint="f00d",
        git_revision=None, own_code={}, trained_seeds=(5, 6),
    )  # fmt: skip


def test_figures_come_from_card_and_test(search, card, make_search, retrain):
    told = {
        "trial_id": "0003", "chosen": "by hand", "retrained_epochs": 7, "retraining_seed": "5, 6",
    }  # fmt: skip
    assert _figures(search, card) == told
    retrain(make_search("tested", trials=4))
    tested = TrackedSearch(search.paths.named(search.paths.root.parent, "tested"), None, None)
    figures = _figures(tested, card)
    assert figures.pop("test_accuracy") == 204 / 216
    assert figures.pop("test_ci95_low") == pytest.approx(0.9055, abs=5e-4)
    assert figures.pop("test_ci95_high") == pytest.approx(0.9680, abs=5e-4)
    assert figures == told


def test_a_damaged_test_is_not_published(search, card):
    search.paths.winner.mkdir()
    write_card(search.paths.winner, card)
    assert publish("tensorboard", search) == ""
    (search.paths.winner / "test.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"test\.json is damaged"):
        publish("tensorboard", search)
