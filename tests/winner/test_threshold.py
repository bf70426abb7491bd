"""Confidence threshold of a winner: from a model that has not seen the held-out images."""

from types import SimpleNamespace

import pytest
import torch

from handsigns.config.validate import validate_search_config
from handsigns.data.dataset import DataSet
from handsigns.data.folds import training_splits
from handsigns.data.splits import DataInfo
from handsigns.models import inference_model
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.reevaluation import ReevaluationPlan, write_plan
from handsigns.results.store import DataRecord, create_search, open_search
from handsigns.results.trial import Placement, Session
from handsigns.stats.calibration import confidence_threshold
from handsigns.training.checkpoint import dump_checkpoint
from handsigns.training.evaluate import predict_logits
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs
from handsigns.winner.threshold import validation_threshold
from tests.support.records import make_spec

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
MAX_EPOCHS = 3
SPACE = {"channel_width": 4, "batch_size": 8}


@pytest.fixture
def search(tmp_path, make_split):
    """Search without trials, with its data."""
    config, _ = validate_search_config({"space": SPACE, "budget": {"max_epochs": MAX_EPOCHS}})
    counts = {"train": (8, 8, 8), "val": (10, 10, 10), "test": (1, 1, 1)}
    info = DataInfo("bands", "f1ng", ("a", "b", "c"), 16, counts, ())
    splits = {"train": make_split(24, seed=1), "val": make_split(30, seed=2)}
    paths = SearchPaths(tmp_path / "one")
    create_search(paths, config, DataRecord(info, None, 16, False))
    return SimpleNamespace(paths=paths, config=config, data=DataSet(info, **splits, cached=None))


def train(search, paths, spec, epochs=MAX_EPOCHS, fingerprint="f1ng"):
    """Train a run for some epochs; store record and checkpoint, return the model."""
    plan = TrainingPlan(spec.config, 3, 16, MAX_EPOCHS, spec.seed, CPU)
    state = init_state(plan)
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session(fingerprint, {}))
    journal.start_trial(spec)
    for metrics in train_epochs(
        state, *training_splits(spec.fold, search.data.train, search.data.val)
    ):
        journal.report_epoch(spec.trial_id, metrics, Placement("laptop/1", "cpu", 1))
        if metrics.epoch == epochs:
            break
    journal.end_trial(spec.trial_id, "completed", "")
    journal.close()
    checkpoint_store(search.config, paths).save(spec.trial_id, dump_checkpoint(state))
    return inference_model(state.eval_model, spec.config)


def threshold(search):
    stored = open_search(search.paths)
    return validation_threshold(stored, search.data, stored.trial("0000"), CPU, None)


def expected(model, split):
    probs = predict_logits(model, torch.tensor(split.images)).softmax(1).double().numpy()
    return confidence_threshold(probs[range(len(split)), split.labels])


def test_the_trial_predicts_the_validation_split(search):
    model = train(search, search.paths, make_spec("0000", SPACE))
    assert threshold(search) == pytest.approx(expected(model, search.data.val), abs=1e-6)


def test_a_trial_of_earlier_data_gives_no_threshold(search):
    train(search, search.paths, make_spec("0000", SPACE), fingerprint="earlier")
    assert threshold(search) is None


def test_without_its_checkpoint_a_reevaluation_predicts_its_own_fold(search):
    train(search, search.paths, make_spec("0000", SPACE), epochs=2)
    assert threshold(search) is None
    plan = ReevaluationPlan(("0000",), seeds=1, folds=2)
    spec = plan.runs[0].spec(open_search(search.paths).trial("0000"), search.config.seed)
    model = train(search, search.paths.reevaluation, spec)
    write_plan(search.paths.reevaluation, plan, [])
    _, held_out = training_splits(spec.fold, search.data.train, search.data.val)
    assert threshold(search) == pytest.approx(expected(model, held_out), abs=1e-6)
