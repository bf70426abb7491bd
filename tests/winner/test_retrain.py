"""What retraining keeps."""

import pytest
import torch

from handsigns.config.validate import check_study
from handsigns.data.dataset import DataSet
from handsigns.data.folds import together
from handsigns.data.splits import DataInfo
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search, open_search
from handsigns.training.evaluate import evaluate
from handsigns.training.train import TrainingPlan, fit, on_device, start
from handsigns.winner.model import load_card, load_model, load_seeds
from handsigns.winner.retrain import retrain, retraining_seed
from tests.support.records import make_spec


def retrained(tmp_path, make_split, space, seeds):
    """A search of one trial, and what its retraining came to."""
    study, _ = check_study({"space": space, "budget": {"max_epochs": 3}})
    counts = {"train": (8, 8, 8), "val": (3, 3, 3), "test": (1, 1, 1)}
    info = DataInfo("bands", "f1ng", ("a", "b", "c"), 16, counts, ())
    data = DataSet(info, make_split(24, seed=1), make_split(9, seed=2), None)
    paths = SearchPaths(tmp_path / "one")
    begin_search(paths, study, DataRecord(info, None, 16, False))
    journal = Journal(paths.journal, writable=True)
    record = journal.start(make_spec("0000", space))
    journal.close()
    _, runs = retrain(
        open_search(paths), data, record,
        chosen="by rank", seeds=seeds, ensemble=False, progress=lambda *_: None,
    )  # fmt: skip
    return study, record, paths, data, runs


def test_the_model_kept_has_the_lowest_loss_as_used(tmp_path, make_split):
    """Not by the loss of the steps, which is of other weights, on changed pictures."""
    space = {
        "channel_width": 4, "batch_size": 8, "learning_rate": 0.3, "schedule": "constant",
        "weight_average": 0.0,
    }  # fmt: skip
    _, _, paths, data, runs = retrained(tmp_path, make_split, space, seeds=4)
    images, labels = on_device(together(data.train, data.val), torch.device("cpu"))
    seeds = load_seeds(paths.winner, torch.device("cpu"))
    losses = [evaluate(model, images, labels).loss for model in seeds]
    assert [run.loss for run in runs] == pytest.approx(losses)
    best = losses.index(min(losses))
    assert load_card(paths.winner).seeds == (runs[best].seed,)


def test_the_model_kept_has_the_averaged_weights(tmp_path, make_split):
    space = {"channel_width": 4, "batch_size": 8, "flip": 0.0}
    study, record, paths, data, _ = retrained(tmp_path, make_split, space, seeds=1)
    seed = retraining_seed(study.seed, 0)
    trained = start(TrainingPlan(record.config, 3, 16, 3, seed, torch.device("cpu")))
    list(fit(trained, together(data.train, data.val), None))
    kept = load_model(paths.winner, torch.device("cpu"))[0].state_dict()
    for name, tensor in trained.result.state_dict().items():
        assert torch.equal(tensor, kept[name]), name
    assert not torch.equal(trained.model.head.weight, kept["head.weight"])

    # One that was kept before there were averages and test-time flips is read as it was.
    path = paths.winner / "config.yaml"
    lines = path.read_text().splitlines()
    without = [line for line in lines if "weight_average" not in line and "_flip" not in line]
    assert len(without) == len(lines) - 2
    path.write_text("\n".join(without))
    config = load_card(paths.winner).config
    assert (config.weight_average, config.test_time_flip) == (0.0, False)
