"""What retraining keeps, and what testing that writes."""

from types import SimpleNamespace

import pytest
import torch

from handsigns.config.validate import check_study
from handsigns.data.dataset import DataSet
from handsigns.data.folds import together
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search, open_search
from handsigns.results.winner import read_card, read_ledger, read_retraining, read_test
from handsigns.training.evaluate import evaluate
from handsigns.training.train import TrainingPlan, fit, on_device, start
from handsigns.winner.model import load_model, load_seeds
from handsigns.winner.retrain import retrain, retraining_seed
from handsigns.winner.test import test_winner as run_test
from tests.support.records import make_spec


def retrained(tmp_path, make_split, space, seeds):
    """A search of one trial, and what its retraining came to."""
    study, _ = check_study({"space": space, "budget": {"max_epochs": 3}})
    counts = {"train": (8, 8, 8), "val": (3, 3, 3), "test": (1, 1, 1)}
    info = DataInfo("bands", "f1ng", ("a", "b", "c"), 16, counts, ())
    pack = SimpleNamespace(open_split=lambda name: make_split(60, seed=3))
    data = DataSet(info, make_split(24, seed=1), make_split(9, seed=2), pack)
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
    assert read_card(paths.winner).seeds == (runs[best].seed,)


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


def test_retraining_and_test_are_read_back(tmp_path, make_split):
    space = {"channel_width": 4, "batch_size": 8, "learning_rate": 0.001}
    _, _, paths, data, runs = retrained(tmp_path, make_split, space, seeds=2)
    record = read_retraining(paths.winner)
    assert list(record.runs) == runs
    assert record.train_pictures == 33
    card = read_card(paths.winner)
    assert record.kept_seeds == card.seeds
    assert read_test(paths.winner) is None

    result = run_test(open_search(paths), data, after_test=False, allow_own_code=False)
    assert read_test(paths.winner) == result
    assert result.total == 60
    assert len(result.wrong) == 60 - result.correct > 0
    assert result.per_seed[result.seeds.index(card.seeds[0])] == result.accuracy
    assert (result.seeds, result.kept_seeds) == (card.trained_seeds, card.seeds)
    (opening,) = read_ledger(paths.test_ledger)
    assert (opening.correct, opening.total) == (result.correct, 60)
    for one in result.wrong[:50]:
        assert (paths.winner / one.file).is_file()
    assert f"{result.correct} of 60 pictures" in (paths.winner / "README.md").read_text()


def test_the_test_stays_closed_where_the_winner_is_damaged(tmp_path, make_split):
    space = {"channel_width": 4, "batch_size": 8}
    _, _, paths, data, _ = retrained(tmp_path, make_split, space, seeds=1)
    (paths.winner / "metrics.json").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ResultsError, match=r"metrics\.json is damaged"):
        run_test(open_search(paths), data, after_test=False, allow_own_code=False)
    assert read_ledger(paths.test_ledger) == []
