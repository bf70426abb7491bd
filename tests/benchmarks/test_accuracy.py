"""The arithmetic of the benchmarks of accuracy, and that they go on where they were broken off."""

import importlib
import json

import pytest


@pytest.fixture
def photographs(tmp_path, program):
    """A folder of a few drawn hands."""
    program("harness").draw_pictures(
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


def test_an_objective_is_held_against_the_other_folds(program):
    objectives = program("objectives")
    good = [curve(program, [0.5, 0.1]), curve(program, [0.6, 0.1])]
    middling = [curve(program, [0.4, 0.2]), curve(program, [0.5, 0.3])]
    poor = [curve(program, [0.9, 0.8]), curve(program, [0.9, 0.7])]
    curves = [good, middling, poor]
    truth = [[one.loss[-1] for one in folds] for folds in curves]
    assert objectives._correlation(curves, objectives.LOSS, 2, truth) == pytest.approx(1.0)
    assert objectives._correlation(curves, objectives.LOSS, 1, truth) == pytest.approx(0.5)
    assert objectives._lost(curves, objectives.LOSS, 2, truth) == pytest.approx(0.0)
    # After one epoch the middling one is first on both folds: 0.2 and 0.1 worse on the other.
    assert objectives._lost(curves, objectives.LOSS, 1, truth) == pytest.approx(0.15)


def test_of_several_firsts_one_is_as_likely_as_another(program):
    objectives = program("objectives")
    a = [curve(program, [0.1], [0.9]), curve(program, [0.1], [0.9])]
    b = [curve(program, [0.3], [0.9]), curve(program, [0.3], [0.9])]
    truth = [[one.loss[-1] for one in folds] for folds in (a, b)]
    error = next(one for one in objectives.OBJECTIVES if one.name == "error")
    assert objectives._lost([a, b], error, 1, truth) == pytest.approx(0.1)


def test_several_folds_are_held_against_one_that_has_no_part(program):
    objectives = program("objectives")
    # On each of the folds another is best; on two together always the first.
    losses = [[0.1, 0.2, 0.2], [0.4, 0.1, 0.35], [0.3, 0.5, 0.1]]
    curves = [[curve(program, [loss]) for loss in folds] for folds in losses]
    one, two = objectives.by_folds(curves, 1).rows
    assert [row[0] for row in (one, two)] == ["1", "2"]
    assert (one[3], two[3]) == ("0.2250", "0.0667")


def test_an_ensemble_is_measured_by_its_mean_probabilities(program):
    folds, recipes = program("folds"), program("recipes")
    one = folds.Curve([], [], 2.0, probabilities=[[0.9, 0.1], [0.6, 0.4]], labels=[0, 1])
    other = folds.Curve([], [], 3.0, probabilities=[[0.3, 0.7], [0.2, 0.8]], labels=[0, 1])
    found = recipes.together([one, other])
    assert (found.accuracy, found.seconds) == (1.0, 5.0)
    assert found.loss == pytest.approx(0.5108, abs=1e-4)  # -log 0.6, twice


def test_the_hardest_pictures_are_named(program, photographs):
    folds, recipes = program("folds"), program("recipes")
    open_data = importlib.import_module("handsigns.data.dataset").open_data
    fold = importlib.import_module("handsigns.data.folds").Fold(1, 3, 0)
    data = open_data(photographs)
    held_out = fold.hold_out(data.train, data.val)[1]
    right = [[float(k == label) for k in range(6)] for label in held_out.labels]
    one_wrong = [right[(i + 1) % 12 if i == 4 else i] for i in range(12)]
    curves = {
        name: folds.Curve([], [], 1.0, probabilities=rows, labels=held_out.labels.tolist())
        for name, rows in (("a", right), ("b", one_wrong))
    }
    table = recipes.hardest({(0, 0, 1): curves}, photographs, 3)
    assert table.rows == [(held_out.names[4], "1 of 2")]


def test_a_training_that_was_kept_is_not_repeated(program, photographs, tmp_path):
    folds, kept = program("folds"), tmp_path / "curves.jsonl"
    trainings = [
        folds.Training({"channel_width": 1}, 2, fold, 3, averages=(2.0,)) for fold in (0, 1)
    ]
    first = folds.train_all(trainings[:1], photographs, 1, kept)
    kept.write_text(kept.read_text().replace('"seconds": ', '"seconds": 9'))
    both = folds.train_all(trainings, photographs, 1, kept)
    assert both[0].seconds > 9 * first[0].seconds
    assert len(kept.read_text().splitlines()) == 2
    assert len(both[1].loss) == len(both[1].averaged_loss[0]) == 2
    assert len(both[1].labels) == len(both[1].probabilities) == 12


def test_trainings_of_other_pictures_do_not_count(program, photographs, tmp_path):
    folds, kept = program("folds"), tmp_path / "curves.jsonl"
    training = folds.Training({"channel_width": 1}, 1, 0, 3)
    folds.train_all([training], photographs, 1, kept)
    line = json.loads(kept.read_text())
    kept.write_text(json.dumps(line | {"data": "another"}) + "\n")
    folds.train_all([training], photographs, 1, kept)
    assert len(kept.read_text().splitlines()) == 2


def test_averaging_changes_nothing_of_the_training(program, photographs):
    folds = program("folds")
    plain = folds.train(photographs, folds.Training({"channel_width": 1}, 2, 0, 3))
    averaged = folds.train(
        photographs, folds.Training({"channel_width": 1}, 2, 0, 3, averages=(0.0001,))
    )
    assert averaged.loss == plain.loss
    assert averaged.averaged_loss[0] != plain.loss  # which is of weights averaged over an epoch


def test_another_seed_and_what_was_learnt_before_make_another_training(program, photographs):
    folds = program("folds")
    folds.DRAWN = 12
    found = [
        folds.train(photographs, folds.Training({"channel_width": 1}, 1, 0, 3, **changes)).loss
        for changes in ({}, {"seed": 1}, {"pretrained": 1})
    ]
    assert found[0] != found[1] != found[2] != found[0]
