"""Selection of the retrained model, and the files that its test writes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handsigns.config.validate import validate_search_config
from handsigns.data.dataset import DataSet
from handsigns.data.folds import concat_splits
from handsigns.data.splits import DataInfo
from handsigns.errors import ResultsError
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.retraining import RetrainingPaths, retraining_seed
from handsigns.results.store import DataRecord, create_search, open_search
from handsigns.results.test_result import read_test_ledger, read_test_result
from handsigns.results.winner import read_model_card, read_retraining
from handsigns.training.device_data import split_to_device
from handsigns.training.evaluate import evaluate, predict_logits
from handsigns.winner.model import load_model, load_seed_models
from handsigns.winner.test import evaluate_winner as run_test
from handsigns.winner.write import write_winner
from tests.support.records import make_spec
from tests.support.retraining import plan_of, train_directly, write_runs

pytestmark = pytest.mark.slow

SPACE = {"channel_width": 4, "batch_size": 8}


def retrained(tmp_path, make_split, space=SPACE, seeds=1, *, ensemble=False, **options):
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
    search = open_search(paths)
    plan = plan_of(search, record, seeds)
    write_runs(search, data, plan, **options)
    return search, record, paths, data, write(search, data, plan, ensemble=ensemble)


def write(search, data, plan, *, ensemble=False):
    """Write the winner of a retraining."""
    files = RetrainingPaths.of_trial(search.paths, plan.record.trial_id)
    _, runs = write_winner(
        search, data, files, plan.select(Journal(files.journal).records),
        seconds=1.5, selected_by="rank", ensemble=ensemble, progress=lambda *_: None,
    )  # fmt: skip
    return runs


def test_the_selected_model_has_the_lowest_loss_at_inference(tmp_path, make_split):
    """The loss of the training steps is of other weights, on augmented images."""
    space = {
        "channel_width": 4, "batch_size": 8, "learning_rate": 0.3, "schedule": "constant",
        "ema_epochs": 0.0,
    }  # fmt: skip
    _, _, paths, data, runs = retrained(tmp_path, make_split, space, seeds=4)
    images, labels = split_to_device(concat_splits(data.train, data.val), torch.device("cpu"))
    models = load_seed_models(paths.winner, torch.device("cpu"))
    losses = [evaluate(model, images, labels, len(data.info.classes)).loss for model in models]
    assert [run.loss for run in runs] == pytest.approx(losses)
    best = losses.index(min(losses))
    assert read_model_card(paths.winner).seeds == (runs[best].seed,)


def test_the_selected_model_has_the_averaged_weights(tmp_path, make_split):
    space = SPACE | {"flip": 0.0}
    search, record, paths, data, _ = retrained(tmp_path, make_split, space)
    seed = retraining_seed(search.config.seed, 0)
    trained = train_directly(search, data, record.config, seed)
    selected = load_model(paths.winner, torch.device("cpu"))[0].state_dict()
    for name, tensor in trained.eval_model.state_dict().items():
        assert torch.equal(tensor, selected[name]), name
    assert not torch.equal(trained.model.head.weight, selected["head.weight"])


def test_a_diverged_seed_is_recorded_but_never_kept(tmp_path, make_split):
    *_, paths, _, runs = retrained(tmp_path, make_split, seeds=3, diverged=[1], ensemble=True)
    assert [run.diverged for run in runs] == [False, True, False]
    assert [len(run.epochs) for run in runs] == [3, 1, 3]
    card = read_model_card(paths.winner)
    assert card.seeds == card.trained_seeds == (runs[0].seed, runs[2].seed)


def test_a_trial_whose_seeds_all_diverged_is_rejected(tmp_path, make_split):
    with pytest.raises(ResultsError, match=r"diverged with every seed.*choose another trial"):
        retrained(tmp_path, make_split, seeds=2, diverged=[0, 1])
    assert not (tmp_path / "one" / "winner").exists()


def test_threads_and_random_state_of_the_user_are_restored(tmp_path, make_split):
    search, record, _, data, _ = retrained(tmp_path, make_split)
    torch.manual_seed(7)
    expected = torch.rand(4)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        torch.manual_seed(7)
        write(search, data, plan_of(search, record, 1))
        assert torch.get_num_threads() == 3
        assert torch.equal(torch.rand(4), expected)
    finally:
        torch.set_num_threads(threads)


def test_a_damaged_checkpoint_is_reported_with_a_remedy(tmp_path, make_split):
    search, record, _, data, _ = retrained(tmp_path, make_split)
    plan = plan_of(search, record, 1)
    (file,) = RetrainingPaths.of_trial(search.paths, "0000").checkpoints.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ResultsError, match=r"run 0000-retraining0 cannot be read.*\n.*remove "):
        write(search, data, plan)


def test_retraining_and_test_results_are_read_back(tmp_path, make_split):
    space = SPACE | {"learning_rate": 0.001}
    _, _, paths, data, runs = retrained(tmp_path, make_split, space, seeds=2)
    record = read_retraining(paths.winner)
    assert list(record.runs) == runs
    assert record.num_train_images == 33
    assert (record.seconds, record.device, record.threads) == (1.5, "cpu", 1)
    card = read_model_card(paths.winner)
    assert record.selected_seeds == card.seeds
    assert read_test_result(paths.winner) is None

    result = run_test(open_search(paths), data, trust_user_code=False)
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


def test_the_test_split_is_not_copied(tmp_path, make_split, monkeypatch):
    search, _, _, data, _ = retrained(tmp_path, make_split)
    split, tested = data.open_test(), []

    def predict(model, images):
        tested.append(images)
        return predict_logits(model, images)

    monkeypatch.setattr("handsigns.winner.test.pick_device", lambda: torch.device("cpu"))
    monkeypatch.setattr("handsigns.winner.test.predict_logits", predict)
    monkeypatch.setattr(data.cached, "open_split", lambda _: split)
    run_test(search, data, trust_user_code=False)
    assert tested
    assert all(np.shares_memory(images.numpy(), split.images) for images in tested)


def test_the_test_split_is_not_opened_for_a_damaged_winner(tmp_path, make_split):
    _, _, paths, data, _ = retrained(tmp_path, make_split)
    (paths.winner / "metrics.json").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ResultsError, match=r"metrics\.json is damaged"):
        run_test(open_search(paths), data, trust_user_code=False)
    assert read_test_ledger(paths.test_ledger) == []


def test_a_damaged_export_record_leaves_the_test_split_closed(tmp_path, make_split):
    search, _, paths, data, _ = retrained(tmp_path, make_split)
    (paths.winner / "onnx.json").write_text("{")
    with pytest.raises(ResultsError, match=r"onnx\.json is damaged"):
        run_test(search, data, trust_user_code=False)
    assert not read_test_ledger(paths.test_ledger)
