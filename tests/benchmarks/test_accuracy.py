"""Tests of the accuracy benchmarks: their arithmetic, and resuming from cached trainings."""

import importlib
import json

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def image_folder(tmp_path, program):
    """Folder with a few images of synthetic hands."""
    program("harness").write_synthetic_images(
        tmp_path / "hands", {"train": 24, "val": 12, "test": 6}, 16, "png"
    )
    return tmp_path / "hands"


def curve(program, loss, accuracy=None):
    accuracy = accuracy or [1 - value for value in loss]
    return program("folds").Curve(loss, accuracy, 1.0, [loss] * 2, [accuracy] * 2)


def test_ties_share_their_rank(program):
    objectives = program("objectives")
    assert objectives._ranks([0.3, 0.1, 0.3, 0.2]) == [2.5, 0.0, 2.5, 1.0]
    assert objectives._spearman([0.3, 0.3, 0.3], [0.1, 0.2, 0.3]) == 0.0


def test_objectives_are_compared_with_the_other_folds(program):
    objectives = program("objectives")
    good = [curve(program, [0.5, 0.1]), curve(program, [0.6, 0.1])]
    middling = [curve(program, [0.4, 0.2]), curve(program, [0.5, 0.3])]
    poor = [curve(program, [0.9, 0.8]), curve(program, [0.9, 0.7])]
    curves = [good, middling, poor]
    truth = [[one.loss[-1] for one in folds] for folds in curves]
    assert objectives._correlation(curves, objectives.LOSS, 2, truth) == pytest.approx(1.0)
    assert objectives._correlation(curves, objectives.LOSS, 1, truth) == pytest.approx(0.5)
    assert objectives._regret(curves, objectives.LOSS, 2, truth) == pytest.approx(0.0)
    # After one epoch the middling one is first on both folds: its regret is 0.2 and 0.1.
    assert objectives._regret(curves, objectives.LOSS, 1, truth) == pytest.approx(0.15)


def test_regret_of_ties_is_their_mean(program):
    objectives = program("objectives")
    a = [curve(program, [0.1], [0.9]), curve(program, [0.1], [0.9])]
    b = [curve(program, [0.3], [0.9]), curve(program, [0.3], [0.9])]
    truth = [[one.loss[-1] for one in folds] for folds in (a, b)]
    error = next(one for one in objectives.OBJECTIVES if one.label == "error")
    assert objectives._regret([a, b], error, 1, truth) == pytest.approx(0.1)


def test_several_folds_are_compared_with_one_left_out(program):
    objectives = program("objectives")
    # A different configuration is best on each fold, but always the first on two together.
    losses = [[0.1, 0.2, 0.2], [0.4, 0.1, 0.35], [0.3, 0.5, 0.1]]
    curves = [[curve(program, [loss]) for loss in folds] for folds in losses]
    one, two = objectives.num_folds_table(curves, 1).rows
    assert [row[0] for row in (one, two)] == ["1", "2"]
    assert (one[3], two[3]) == ("0.2250", "0.0667")


def test_an_ensemble_averages_probabilities(program):
    folds, recipes = program("folds"), program("recipes")
    one = folds.Curve([], [], 2.0, probabilities=[[0.9, 0.1], [0.6, 0.4]], labels=[0, 1])
    other = folds.Curve([], [], 3.0, probabilities=[[0.3, 0.7], [0.2, 0.8]], labels=[0, 1])
    result = recipes.ensemble_result([one, other])
    assert (result.accuracy, result.seconds) == (1.0, 5.0)
    assert result.loss == pytest.approx(0.5108, abs=1e-4)  # -log 0.6 for both images


def test_the_hardest_images_are_listed(program, image_folder):
    folds, recipes = program("folds"), program("recipes")
    open_data = importlib.import_module("handsigns.data.dataset").open_data
    fold = importlib.import_module("handsigns.data.folds").Fold(1, 3, 0)
    data = open_data(image_folder)
    held_out = fold.hold_out(data.train, data.val)[1]
    correct = [[float(k == label) for k in range(6)] for label in held_out.labels]
    one_misclassified = [correct[(i + 1) % 12 if i == 4 else i] for i in range(12)]
    curves = {
        name: folds.Curve([], [], 1.0, probabilities=rows, labels=held_out.labels.tolist())
        for name, rows in (("a", correct), ("b", one_misclassified))
    }
    table = recipes.hardest_images({(0, 0, 1): curves}, image_folder, 3)
    assert table.rows == [(held_out.names[4], "1 of 2")]


def test_cached_trainings_are_not_repeated(program, image_folder, tmp_path):
    folds, cache = program("folds"), tmp_path / "curves.jsonl"
    trainings = [
        folds.Training({"channel_width": 1}, 2, fold, 3, ema_epochs=(2.0,)) for fold in (0, 1)
    ]
    first = folds.train_all(trainings[:1], image_folder, 1, cache)
    cache.write_text(cache.read_text().replace('"seconds": ', '"seconds": 9'))
    both = folds.train_all(trainings, image_folder, 1, cache)
    assert both[0].seconds > 9 * first[0].seconds
    assert len(cache.read_text().splitlines()) == 2
    assert len(both[1].loss) == len(both[1].ema_loss[0]) == 2
    assert len(both[1].labels) == len(both[1].probabilities) == 12


def test_cached_trainings_on_other_data_are_ignored(program, image_folder, tmp_path):
    folds, cache = program("folds"), tmp_path / "curves.jsonl"
    training = folds.Training({"channel_width": 1}, 1, 0, 3)
    folds.train_all([training], image_folder, 1, cache)
    line = json.loads(cache.read_text())
    cache.write_text(json.dumps(line | {"data": "another"}) + "\n")
    folds.train_all([training], image_folder, 1, cache)
    assert len(cache.read_text().splitlines()) == 2


def test_weight_averages_do_not_change_the_training(program, image_folder):
    folds = program("folds")
    plain = folds.train(image_folder, folds.Training({"channel_width": 1}, 2, 0, 3))
    averaged = folds.train(
        image_folder, folds.Training({"channel_width": 1}, 2, 0, 3, ema_epochs=(0.0001,))
    )
    assert averaged.loss == plain.loss
    assert averaged.ema_loss[0] != plain.loss  # the latter is of weights averaged over an epoch


def test_seed_and_pretraining_change_the_training(program, image_folder, monkeypatch):
    folds = program("folds")
    monkeypatch.setattr(folds, "NUM_PRETRAINING_IMAGES", 12)
    losses = [
        folds.train(image_folder, folds.Training({"channel_width": 1}, 1, 0, 3, **changes)).loss
        for changes in ({}, {"seed": 1}, {"pretrain_epochs": 1})
    ]
    assert losses[0] != losses[1] != losses[2] != losses[0]
