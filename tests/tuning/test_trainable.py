"""The predictions that a completed trial leaves, without a search."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from handsigns.data.folds import Fold
from handsigns.data.near_duplicates import image_digests
from handsigns.io.storage import FolderStorage
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.predictions import load_predictions, predictions_key
from handsigns.stats.confident_learning import confident_learning
from handsigns.tuning import trainable
from handsigns.tuning.protocol import TrialContext
from tests.support.records import make_spec

PARAMS = {"channel_width": 4, "batch_size": 8, "learning_rate": 5e-3}


@pytest.fixture
def run_trial(tmp_path, monkeypatch):
    """Return a function that trains a trial and returns its store and its reports."""
    reports = []
    monkeypatch.setattr(trainable, "tune", SimpleNamespace(report=reports.append))
    store = CheckpointStore(FolderStorage(tmp_path))

    def run(train, val, *, validate=True, fold=None, max_epochs=8, trial_id="0000"):
        context = TrialContext(train, val, validate, 3, 16, max_epochs, 1, 0, store)
        trainable.run_trial(replace(make_spec(trial_id, PARAMS), fold=fold).to_dict(), context)
        return store, reports

    return run


def stored_predictions(store, split, trial_id="0000"):
    key = predictions_key(image_digests(split.images), split.labels, split.names)
    return load_predictions(store.load_predictions(trial_id), key, (len(split), 3))


def test_predictions_are_those_of_the_last_epoch(run_trial, make_split):
    val = make_split(24, seed=2)
    store, reports = run_trial(make_split(30, seed=1), val, max_epochs=2)
    assert [report["epoch"] for report in reports] == [1, 2]
    probs = stored_predictions(store, val)
    accuracy = (probs.argmax(1) == val.labels).mean()
    assert accuracy == pytest.approx(reports[-1]["val_accuracy"])
    assert probs.sum(1) == pytest.approx(1, abs=0.01)


def test_predictions_exist_once_the_last_epoch_is_saved(run_trial, make_split, monkeypatch):
    """A trial that dies after saving its last epoch trains none again."""
    val = make_split(12, seed=2)
    saved = []
    for name in ("save", "save_predictions"):
        method = getattr(CheckpointStore, name)
        monkeypatch.setattr(
            CheckpointStore,
            name,
            lambda self, *a, _m=method, _n=name: (saved.append(_n), _m(self, *a)),
        )
    run_trial(make_split(18, seed=1), val, max_epochs=2)
    assert saved == ["save", "save_predictions", "save"]


def test_trial_without_validation_leaves_no_predictions(run_trial, make_split):
    train, val = make_split(18, seed=1), make_split(12, seed=2)
    store, _ = run_trial(train, val, validate=False, max_epochs=1)
    assert store.load_predictions("0000") is None


def test_folds_find_labels_swapped_on_purpose(run_trial, make_split):
    """Models that were trained on the wrong labels, too, disagree with them on the other folds."""
    train, val = make_split(90, seed=1), make_split(30, seed=2)
    swapped = [7, 40, 61, 95]
    for image in swapped:
        split, index = (train, image) if image < 90 else (val, image - 90)
        split.labels[index] = (split.labels[index] + 1) % 3
    probs, labels = np.zeros((120, 3)), np.concatenate([train.labels, val.labels])
    for k in range(3):
        fold = Fold(k, 3, seed=1)
        store, _ = run_trial(train, val, fold=fold, trial_id=f"0000-fold{k}")
        _, held_out = fold.hold_out(train, val)
        probs[fold.is_held_out(train, val)] = stored_predictions(store, held_out, f"0000-fold{k}")
    margins = confident_learning(probs, labels).margins
    assert set(np.argsort(margins)[:4]) == set(swapped)
