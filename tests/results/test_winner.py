"""The files of a winner: what is written, that it is read back, and that damage is an error."""

import dataclasses
import json

import pytest
import yaml

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.metrics import EpochMetrics
from handsigns.results.winner import (
    ModelCard,
    RetrainingEpoch,
    Unseen,
    add_opening,
    read_card,
    read_ledger,
    read_retraining,
    read_test,
    write_card,
    write_retraining,
    write_test,
)
from tests.support import scripted

CARD = ModelCard(
    config=TrialConfig.from_params({"learning_rate": 1e-3, "own.depth": 3}),
    classes=("yes", "1e3", "三: x"),
    size=16,
    epochs=7,
    seeds=(5, 2**62),
    search="first",
    trial_id="0007",
    chosen="by re-evaluation",
    chosen_after_test=False,
    fingerprint="f00d",
    git_revision=None,
    own_code={"mine": {"digest": "d" * 32, "file": "mine.py"}},
    trained_seeds=(5, 6, 2**62),
)


@pytest.fixture
def test(make_search):
    return scripted.tested(make_search(trials=4))


@pytest.fixture
def retraining(make_search):
    return scripted.retraining(make_search(trials=4))


def test_a_card_is_read_back(tmp_path):
    write_card(tmp_path, CARD)
    assert read_card(tmp_path) == CARD
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert list(written) == [field.name for field in dataclasses.fields(ModelCard)]
    assert written["config"]["own"] == {"depth": 3}
    assert written["classes"] == ["yes", "1e3", "三: x"]


def test_a_missing_or_damaged_card_says_what_to_do(tmp_path):
    folder = tmp_path / "mine" / "winner"
    folder.mkdir(parents=True)
    with pytest.raises(ResultsError, match=r"no retrained winner in .*retrain mine"):
        read_card(folder)
    write_card(folder, CARD)
    text = (folder / "config.yaml").read_text()
    for damaged in (
        "",
        text.replace("size: 16", "size: 0"),
        text.replace("chosen: by re-evaluation", "chosen: by luck"),
        text.replace("trained_seeds:", "trained:"),
        text.replace("depth: 3", "depth: [3]"),
    ):
        assert damaged != text
        (folder / "config.yaml").write_text(damaged)
        with pytest.raises(ResultsError, match=r"(?s)config\.yaml is damaged.*retrain mine"):
            read_card(folder)


def test_a_retraining_is_read_back(tmp_path, retraining):
    write_retraining(tmp_path, retraining)
    assert read_retraining(tmp_path) == retraining
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert list(written) == [field.name for field in dataclasses.fields(retraining)]
    kept, diverged = written["runs"]
    assert list(kept) == ["seed", "diverged", "loss", "epochs"]
    assert (kept["diverged"], kept["loss"]) == (False, 0.04)
    assert (diverged["diverged"], diverged["loss"]) == (True, None)
    assert [run.diverged for run in retraining.runs] == [False, True]
    assert len(diverged["epochs"]) == 30


def test_an_epoch_of_a_retraining_has_no_validation(tmp_path):
    metrics = EpochMetrics(3, 0.1, 0.2, float("nan"), float("nan"), float("nan"), 0.4, 0.5)
    assert RetrainingEpoch.of(metrics) == RetrainingEpoch(3, 0.1, 0.2, 0.4, 0.5)


def test_a_missing_or_damaged_retraining_says_what_to_do(tmp_path, retraining):
    folder = tmp_path / "mine" / "winner"
    folder.mkdir(parents=True)
    with pytest.raises(ResultsError, match=r"(?s)metrics\.json is damaged.*retrain mine"):
        read_retraining(folder)
    write_retraining(folder, retraining)
    text = (folder / "metrics.json").read_text()
    for damaged in ("{", text.replace('"loss": 0.04', '"loss": Infinity'), "\x80\x04pickle"):
        assert damaged != text
        (folder / "metrics.json").write_text(damaged)
        with pytest.raises(ResultsError, match=r"(?s)metrics\.json is damaged.*retrain mine"):
            read_retraining(folder)


def test_a_test_is_read_back(tmp_path, test):
    assert read_test(tmp_path) is None
    write_test(tmp_path, test)
    assert read_test(tmp_path) == test


def test_a_test_is_written_with_what_follows_from_its_numbers(tmp_path, test):
    first = dataclasses.replace(test.wrong[0], file=None)
    test = dataclasses.replace(test, wrong=(first, *test.wrong[1:]), unseen=Unseen(190, 201))
    write_test(tmp_path, test)
    written = json.loads((tmp_path / "test.json").read_text())
    assert list(written) == [
        "accuracy", "correct", "total", "ci95", "ci95_method", "classes", "confusion", "per_class",
        "wrong", "calibration", "per_seed", "unseen", "seeds", "kept_seeds", "trial_id", "chosen",
        "chosen_after_test", "test_openings", "fingerprint",
    ]  # fmt: skip
    assert (written["accuracy"], written["correct"], written["total"]) == (204 / 216, 204, 216)
    assert written["ci95"] == pytest.approx([0.9055, 0.9680], abs=5e-4)
    assert written["per_class"][0] == {
        "class": "0", "precision": 34 / 36, "recall": 34 / 36, "pictures": 36,
    }  # fmt: skip
    assert list(written["wrong"][0]) == ["picture", "index", "true", "predicted", "confidence"]
    assert written["wrong"][1]["file"] == "wrong/01.png"
    assert written["unseen"] == {"correct": 190, "total": 201}
    assert written["test_openings"] == 2
    assert read_test(tmp_path) == test


def test_precision_and_recall_may_be_missing(test):
    three = dataclasses.replace(
        test, classes=("a", "b", "c"), confusion=((6, 0, 2), (4, 0, 0), (0, 0, 0)),
        wrong=test.wrong[:6],
    )  # fmt: skip
    scores = [(row["precision"], row["recall"], row["pictures"]) for row in three.per_class()]
    assert scores == [(0.6, 0.75, 8), (None, 0.0, 4), (0.0, None, 0)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"confusion": [[1, 2]]}, "6x6"),
        ({"confusion": [[0] * 6] * 6, "wrong": []}, "no images"),
        ({"wrong": []}, "0 misclassified images are listed, and the confusion matrix has 12"),
        ({"per_seed": [2.0]}, "per_seed"),
        ({"unseen": {"correct": -1, "total": 3}}, "unseen"),
        ({"test_openings": 0}, "test_openings"),
        ({"calibration": {"ece": 0.1, "bins": [{"low": 0}]}}, "calibration"),
        ({"calibration": {"ece": float("nan"), "bins": []}}, "calibration"),
        ({"chosen": "by luck"}, "chosen"),
    ],
)
def test_a_damaged_test_is_an_error(tmp_path, test, changes, reason):
    write_test(tmp_path, test)
    path = tmp_path / "test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ResultsError, match=rf"(?s)test\.json is damaged.*{reason}.*from a copy"):
        read_test(tmp_path)


def test_the_ledger_keeps_every_opening(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert read_ledger(path) == []
    add_opening(path, "0001", "digest", 9, 10)
    add_opening(path, "0002", "another", 8, 10)
    first, second = read_ledger(path)
    assert (first.trial_id, first.model_digest, first.correct, first.total) == (
        "0001", "digest", 9, 10,
    )  # fmt: skip
    assert second.trial_id == "0002"
    assert first.time <= second.time


@pytest.mark.parametrize("line", ["{", "[]", '{"time": 1}', "", "\x80"])
def test_a_damaged_ledger_is_an_error(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    add_opening(path, "0001", "digest", 9, 10)
    with path.open("a", encoding="latin-1") as file:
        file.write(f"{line}\n")
    with pytest.raises(ResultsError, match=r"(?s)ledger\.jsonl is damaged.*from a copy"):
        read_ledger(path)
