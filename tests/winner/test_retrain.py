"""Selection of the retrained model, and the files that its test writes."""

from types import SimpleNamespace

import pytest
import torch

from handsigns.config.validate import validate_search_config
from handsigns.data.dataset import DataSet
from handsigns.data.folds import concat_splits
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, create_search, open_search
from handsigns.results.winner import (
    read_model_card,
    read_retraining,
    read_test_ledger,
    read_test_result,
)
from handsigns.training.evaluate import evaluate
from handsigns.training.train import TrainingPlan, init_state, split_to_device, train_epochs
from handsigns.winner.model import load_model, load_seed_models
from handsigns.winner.retrain import retrain, retraining_seed
from handsigns.winner.test import evaluate_winner as run_test
from tests.support.records import make_spec

pytestmark = pytest.mark.slow


def retrained(tmp_path, make_split, space, seeds):
    """Retrain the only trial of a search."""
    config, _ = validate_search_config({"space": space, "budget": {"max_epochs": 3}})
    counts = {"train": (8, 8, 8), "val": (3, 3, 3), "test": (1, 1, 1)}
    info = DataInfo("bands", "f1ng", ("a", "b", "c"), 16, counts, ())
    pack = SimpleNamespace(open_split=lambda name: make_split(60, seed=3))
    data = DataSet(info, make_split(24, seed=1), make_split(9, seed=2), pack)
    paths = SearchPaths(tmp_path / "one")
    create_search(paths, config, DataRecord(info, None, 16, False))
    journal = Journal(paths.journal, writable=True)
    record = journal.start_trial(make_spec("0000", space))
    journal.close()
    _, runs = retrain(
        open_search(paths), data, record,
        selected_by="rank", seeds=seeds, ensemble=False, progress=lambda *_: None,
    )  # fmt: skip
    return config, record, paths, data, runs


def test_the_selected_model_has_the_lowest_loss_at_inference(tmp_path, make_split):
    """The loss of the training steps is of other weights, on augmented images."""
    space = {
        "channel_width": 4, "batch_size": 8, "learning_rate": 0.3, "schedule": "constant",
        "ema_epochs": 0.0,
    }  # fmt: skip
    _, _, paths, data, runs = retrained(tmp_path, make_split, space, seeds=4)
    images, labels = split_to_device(concat_splits(data.train, data.val), torch.device("cpu"))
    models = load_seed_models(paths.winner, torch.device("cpu"))
    losses = [evaluate(model, images, labels).loss for model in models]
    assert [run.loss for run in runs] == pytest.approx(losses)
    best = losses.index(min(losses))
    assert read_model_card(paths.winner).seeds == (runs[best].seed,)


def test_the_selected_model_has_the_averaged_weights(tmp_path, make_split):
    space = {"channel_width": 4, "batch_size": 8, "flip": 0.0}
    config, record, paths, data, _ = retrained(tmp_path, make_split, space, seeds=1)
    seed = retraining_seed(config.seed, 0)
    trained = init_state(TrainingPlan(record.config, 3, 16, 3, seed, torch.device("cpu")))
    list(train_epochs(trained, concat_splits(data.train, data.val), None))
    selected = load_model(paths.winner, torch.device("cpu"))[0].state_dict()
    for name, tensor in trained.eval_model.state_dict().items():
        assert torch.equal(tensor, selected[name]), name
    assert not torch.equal(trained.model.head.weight, selected["head.weight"])


def test_retraining_and_test_results_are_read_back(tmp_path, make_split):
    space = {"channel_width": 4, "batch_size": 8, "learning_rate": 0.001}
    _, _, paths, data, runs = retrained(tmp_path, make_split, space, seeds=2)
    record = read_retraining(paths.winner)
    assert list(record.runs) == runs
    assert record.num_train_images == 33
    card = read_model_card(paths.winner)
    assert record.selected_seeds == card.seeds
    assert read_test_result(paths.winner) is None

    result = run_test(open_search(paths), data, after_test=False, trust_user_code=False)
    assert read_test_result(paths.winner) == result
    assert result.total == 60
    assert len(result.misclassified) == 60 - result.correct > 0
    assert result.accuracy_per_seed[result.seeds.index(card.seeds[0])] == result.accuracy
    assert (result.seeds, result.selected_seeds) == (card.trained_seeds, card.seeds)
    (evaluation,) = read_test_ledger(paths.test_ledger)
    assert (evaluation.correct, evaluation.total) == (result.correct, 60)
    for image in result.misclassified[:50]:
        assert (paths.winner / image.file).is_file()
    assert f"{result.correct}/60 correct" in (paths.winner / "README.md").read_text()


def test_the_test_split_is_not_opened_for_a_damaged_winner(tmp_path, make_split):
    space = {"channel_width": 4, "batch_size": 8}
    _, _, paths, data, _ = retrained(tmp_path, make_split, space, seeds=1)
    (paths.winner / "metrics.json").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ResultsError, match=r"metrics\.json is damaged"):
        run_test(open_search(paths), data, after_test=False, trust_user_code=False)
    assert read_test_ledger(paths.test_ledger) == []
