"""Suspect labels of a search, found from the stored predictions of its trials."""

import csv
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from handsigns.config.sections import Objective
from handsigns.data.dataset import DataSet
from handsigns.data.folds import Fold
from handsigns.data.near_duplicates import image_digests
from handsigns.data.splits import DataInfo
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.journal import Journal
from handsigns.results.predictions import dump_predictions, load_predictions, predictions_key
from handsigns.results.store import open_search
from handsigns.results.suspect_search import find_suspects
from handsigns.results.suspects import read_suspects, write_suspects
from handsigns.results.trial import Placement, Session
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.scripted import HOSTILE_STRINGS

CLASSES = ("high", "middle", "low")
WRONG_VAL, WRONG_TRAIN = 4, 20
HERE = Placement("laptop/1", "cpu", 1)


def key_of(split):
    return predictions_key(image_digests(split.images), split.labels, split.names)


def make_data(train, val):
    counts = {"train": (20,) * 3, "val": (8,) * 3, "test": (8,) * 3}
    info = DataInfo("bands", "f00d" * 8, CLASSES, 16, counts)
    return DataSet(info, train, val, SimpleNamespace(check=None))


@pytest.fixture
def data(make_split):
    """Sixty train and 24 val images, one label of each wrong: middle instead of low."""
    train, val = make_split(60, seed=1), make_split(24, seed=2)
    train.labels[WRONG_TRAIN], val.labels[WRONG_VAL] = 1, 0
    return make_data(train, val)


@pytest.fixture
def search(make_search):
    return make_search(with_failures=False)


def predict_classes(split, seed, wrong=()):
    """Return probabilities of a model that sees the true classes, but for some images."""
    rng = np.random.default_rng(seed)
    true = np.array([int(name.split("_")[0]) for name in split.names])
    probs = rng.uniform(0.0, 0.1, (len(split), 3)) + 0.9 * np.eye(3)[true]
    probs[list(wrong)] = probs[list(wrong)][:, [1, 2, 0]]
    return (probs / probs.sum(1, keepdims=True)).astype(np.float32)


def save(search, paths, trial_id, split, probs):
    store = checkpoint_store(search.config, paths)
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
    store.save_predictions(trial_id, dump_predictions(probs, split))


def completed(search):
    return [record.trial_id for record in search.ranked if record.status == "completed"]


def test_predictions_survive_a_round_trip(data):
    probs = predict_classes(data.val, seed=1)
    content = dump_predictions(probs, data.val)
    assert len(content) < 24 * 3 * 2 + 300
    restored = load_predictions(content, key_of(data.val), (24, 3))
    assert restored == pytest.approx(probs, abs=1e-3)


def test_predictions_of_other_images_are_rejected(data, make_split):
    content = dump_predictions(predict_classes(data.val, seed=1), data.val)
    relabelled = replace(data.val, labels=np.zeros(24, np.int64))
    renamed = replace(data.val, names=tuple(reversed(data.val.names)))
    for other in (make_split(24, seed=3), relabelled, renamed):
        assert load_predictions(content, key_of(other), (24, 3)) is None
    assert load_predictions(content, key_of(data.val), (24, 4)) is None
    for damaged in (b"", content[:-1], content[:40] + b"\0" * 40, b"\x80\x04."):
        assert load_predictions(damaged, key_of(data.val), (24, 3)) is None


def test_good_trials_judge_the_validation_images(search, data):
    for number, trial_id in enumerate(completed(search)):
        save(search, search.paths, trial_id, data.val, predict_classes(data.val, number))
    found = find_suspects(search, data)
    assert (found.judged, found.images) == ({"train": 0, "val": 24}, {"train": 60, "val": 24})
    assert 1 <= found.models <= len(completed(search))
    (suspect,) = found.suspects
    assert (suspect.image.name, suspect.image.split) == (data.val.names[WRONG_VAL], "val")
    assert (suspect.image.label, suspect.suggested) == ("high", "middle")
    assert suspect.agreement == 1.0
    assert found.accuracy == pytest.approx(23 / 24, abs=1e-4)
    assert suspect.probability > 0.8
    assert suspect.seen[0] == ("middle", suspect.probability)
    assert [suspect.digest] == image_digests([data.val.images[WRONG_VAL]])
    assert found.wrong_share <= 2 / 24


def test_poor_trials_and_foreign_predictions_do_not_count(search, data, make_split):
    best, *others = completed(search)
    save(search, search.paths, best, data.val, predict_classes(data.val, 1))
    stopped = [r.trial_id for r in search.ranked if r.status == "stopped"]
    for trial_id in stopped:
        save(search, search.paths, trial_id, data.val, predict_classes(data.val, 1, range(24)))
    foreign = make_split(24, seed=9)
    for trial_id in others:
        save(search, search.paths, trial_id, foreign, predict_classes(foreign, 1))
    found = find_suspects(search, data)
    assert found.models == 1
    assert [suspect.image.name for suspect in found.suspects] == [data.val.names[WRONG_VAL]]


def test_the_best_trials_judge_whatever_the_objective(search, data):
    for trial_id in completed(search):
        save(search, search.paths, trial_id, data.val, predict_classes(data.val, 1))
    objective = Objective(metric="val_macro_f1")
    other = replace(search, config=search.config.model_copy(update={"objective": objective}))
    assert find_suspects(other, data).models >= 1


def test_models_may_be_more_accurate_than_the_best_trial(search, data):
    for trial_id in completed(search):
        save(search, search.paths, trial_id, data.val, predict_classes(data.val, 1))
    best, *others = search.ranked
    less_accurate = replace(best.epochs[-1], val_accuracy=0.5)
    best = replace(best, epochs=(*best.epochs[:-1], less_accurate))
    other = replace(search, journal=SimpleNamespace(records=[best, *others]))
    assert other.ranked[0] == best
    assert find_suspects(other, data).models == len(completed(search))


def test_accuracy_is_stated_without_images_that_leaked(search, data):
    """Three of 24 images leaked; the models miss seven of the others, one of a wrong label."""
    groups = np.arange(84)
    groups[60:63] = groups[:3]
    train, val = (replace(data.train, groups=groups[:60]), replace(data.val, groups=groups[60:]))
    leaky = make_data(train, val)
    for trial_id in completed(search):
        save(search, search.paths, trial_id, val, predict_classes(val, 1, range(10, 16)))
    effect = find_suspects(search, leaky).leak_effect
    assert effect.num_leaked == 3
    assert effect.accuracy == pytest.approx(17 / 24, abs=1e-4)
    assert effect.accuracy_without == pytest.approx(14 / 21, abs=1e-4)
    assert find_suspects(search, data).leak_effect is None


def test_search_without_predictions_has_no_suspects(search, data):
    assert find_suspects(search, data) is None


@pytest.fixture
def reevaluated(search, data):
    """Search whose best trial was re-evaluated on four folds."""
    paths = search.paths.reevaluation
    paths.root.mkdir()
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session(data.info.fingerprint, {}))
    for k in range(4):
        spec = replace(make_spec(f"0001-seed0-fold{k}of4"), fold=Fold(k, 4, seed=7))
        _, held_out = spec.fold.hold_out(data.train, data.val)
        journal.start_trial(spec)
        journal.report_epoch(spec.trial_id, make_epoch_metrics(1, 0.1), HERE)
        journal.end_trial(spec.trial_id, "completed")
        save(search, paths, spec.trial_id, held_out, predict_classes(held_out, k))
    journal.close()
    return open_search(search.paths)


def test_folds_judge_every_training_image(reevaluated, data):
    found = find_suspects(reevaluated, data)
    assert found.judged == found.images == {"train": 60, "val": 24}
    names = {suspect.image.name for suspect in found.suspects}
    assert names == {data.train.names[WRONG_TRAIN], data.val.names[WRONG_VAL]}
    assert all(suspect.models == 1 for suspect in found.suspects)
    assert found.attainable_accuracy is None, "of one model nobody can say what labels allow"


def test_image_missed_by_nearly_all_models_is_suspect(search, data):
    """They agree that its label is wrong, though not on another class."""
    trials = completed(search)
    assert len(trials) >= 3
    for number, trial_id in enumerate(trials):
        probs = predict_classes(data.val, number)
        probs[0] = [0.2, 0.45, 0.35] if number % 2 else [0.2, 0.35, 0.45]
        save(search, search.paths, trial_id, data.val, probs)
    found = find_suspects(search, data)
    assert found.models >= 3
    suspect = next(s for s in found.suspects if s.image.name == data.val.names[0])
    assert suspect.agreement < 0.9
    assert (found.compared, found.missed) == (24, 2)
    low, high = found.interval
    assert low < found.attainable_accuracy == 22 / 24 < high


def test_suspects_are_stored_and_only_for_their_data(search, data):
    for trial_id in completed(search):
        save(search, search.paths, trial_id, data.val, predict_classes(data.val, 1))
    found = find_suspects(search, data)
    write_suspects(search.paths, found)
    assert read_suspects(search.paths, data.info.fingerprint) == found
    assert read_suspects(search.paths, "another") is None


def test_csv_has_a_safe_row_per_suspect(search, data):
    names = (HOSTILE_STRINGS[4], *data.val.names[1:WRONG_VAL], "=1_x", *data.val.names[5:])
    val = replace(data.val, names=names)
    hostile = make_data(data.train, val)
    for trial_id in completed(search):
        save(search, search.paths, trial_id, val, predict_classes(data.val, 1))
    out = io.StringIO()
    find_suspects(search, hostile).write_csv(out)
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert row["image"] == "'=1_x"
    assert (row["label"], row["suggested"], row["agreement"]) == ("high", "middle", "1.0")
