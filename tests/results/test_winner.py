"""Files of a winner: content, round trip, and errors for damaged files."""

import dataclasses
import json

import pytest
import yaml

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError, UnreadableError
from handsigns.metrics import EpochMetrics
from handsigns.results.paths import SearchPaths
from handsigns.results.test_result import (
    NonDuplicateScore,
    append_test_evaluation,
    read_test_ledger,
    read_test_result,
    write_test_result,
)
from handsigns.results.winner import (
    ModelCard,
    RetrainingEpoch,
    read_model_card,
    read_retraining,
    write_model_card,
    write_retraining,
)
from handsigns.winner.test import check_selection
from handsigns.workflow.next_step import winner_step
from tests.support import scripted

CARD = ModelCard(
    config=TrialConfig.from_params({"learning_rate": 1e-3, "custom.depth": 3}),
    classes=("yes", "1e3", "三: x"),
    size=16,
    epochs=7,
    seeds=(5, 2**62),
    search="first",
    trial_id="0007",
    selected_by="re-evaluation",
    selected_after_test=False,
    fingerprint="f00d",
    git_revision=None,
    user_code={"mine": {"digest": "d" * 32, "file": "mine.py"}},
    trained_seeds=(5, 6, 2**62),
)


@pytest.fixture
def result(make_search):
    return scripted.make_test_result(make_search(trials=4))


@pytest.fixture
def retraining(make_search):
    return scripted.make_retraining_record(make_search(trials=4))


def test_a_choice_after_a_test_is_refused_without_its_ledger(tmp_path):
    paths = SearchPaths(tmp_path / "first")
    paths.winner.mkdir(parents=True)
    write_model_card(paths.winner, dataclasses.replace(CARD, selected_after_test=True))
    with pytest.raises(
        ResultsError, match=r"chosen with --trial or --smallest-within .* known\. Its"
    ):
        check_selection(paths, after_test=False)
    append_test_evaluation(paths.test_ledger, "0003", "d", 8, 10)
    with pytest.raises(ResultsError, match=r"was known \(trial 0003: 8/10 correct\)"):
        check_selection(paths, after_test=False)


def test_a_model_card_may_have_many_long_class_names(tmp_path):
    names = tuple(f"{number} {'long ' * 100}" for number in range(2200))
    card = dataclasses.replace(CARD, classes=names)
    write_model_card(tmp_path, card)
    assert (tmp_path / "config.yaml").stat().st_size > 2**20
    assert read_model_card(tmp_path) == card


def test_model_card_round_trip(tmp_path):
    write_model_card(tmp_path, CARD)
    assert read_model_card(tmp_path) == CARD
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert list(written) == [field.name for field in dataclasses.fields(ModelCard)]
    assert written["config"]["custom"] == {"depth": 3}
    assert written["classes"] == ["yes", "1e3", "三: x"]


def test_missing_or_damaged_card_error_has_a_remedy(tmp_path):
    folder = tmp_path / "mine" / "winner"
    folder.mkdir(parents=True)
    with pytest.raises(ResultsError, match=r"no retrained winner in .*retrain mine"):
        read_model_card(folder)
    write_model_card(folder, CARD)
    text = (folder / "config.yaml").read_text()
    for damaged in (
        "",
        text.replace("size: 16", "size: 0"),
        text.replace("selected_by: re-evaluation", "selected_by: by luck"),
        text.replace("trained_seeds:", "trained:"),
        text.replace("depth: 3", "depth: [3]"),
    ):
        assert damaged != text
        (folder / "config.yaml").write_text(damaged)
        with pytest.raises(ResultsError, match=r"(?s)config\.yaml is damaged.*retrain mine"):
            read_model_card(folder)


def test_retraining_record_round_trip(tmp_path, retraining):
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


def test_retraining_epochs_drop_validation_metrics(tmp_path):
    metrics = EpochMetrics(3, 0.1, 0.2, float("nan"), float("nan"), float("nan"), 0.4, 0.5)
    assert RetrainingEpoch.from_metrics(metrics) == RetrainingEpoch(3, 0.1, 0.2, 0.4, 0.5)


def test_missing_or_damaged_retraining_error_has_a_remedy(tmp_path, retraining):
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


def test_evaluation_result_round_trip(tmp_path, result):
    assert read_test_result(tmp_path) is None
    write_test_result(tmp_path, result)
    assert read_test_result(tmp_path) == result


def test_result_file_includes_derived_metrics(tmp_path, result):
    first = dataclasses.replace(result.misclassified[0], file=None)
    result = dataclasses.replace(
        result,
        misclassified=(first, *result.misclassified[1:]),
        excluding_duplicates=NonDuplicateScore(190, 201),
    )
    write_test_result(tmp_path, result)
    written = json.loads((tmp_path / "test.json").read_text())
    assert list(written) == [
        "accuracy", "correct", "total", "ci95", "ci95_method", "balanced_accuracy", "macro_f1",
        "classes", "confusion_matrix", "per_class", "misclassified", "calibration",
        "accuracy_per_seed", "excluding_duplicates",
        "seeds", "selected_seeds", "trial_id", "selected_by", "selected_after_test",
        "test_evaluations", "fingerprint",
    ]  # fmt: skip
    assert (written["accuracy"], written["correct"], written["total"]) == (204 / 216, 204, 216)
    assert written["balanced_accuracy"] == pytest.approx(34 / 36)
    assert written["macro_f1"] == pytest.approx(34 / 36)
    assert written["ci95"] == pytest.approx([0.9055, 0.9680], abs=5e-4)
    assert written["per_class"][0] == {
        "class": "0", "precision": 34 / 36, "recall": 34 / 36, "images": 36,
    }  # fmt: skip
    assert list(written["misclassified"][0]) == [
        "image",
        "index",
        "true",
        "predicted",
        "confidence",
    ]
    assert written["misclassified"][1]["file"] == "misclassified/01.png"
    assert written["excluding_duplicates"] == {"correct": 190, "total": 201}
    assert written["test_evaluations"] == 2
    assert read_test_result(tmp_path) == result


def test_undefined_precision_and_recall_are_none(result):
    three = dataclasses.replace(
        result, classes=("a", "b", "c"), confusion_matrix=((6, 0, 2), (4, 0, 0), (0, 0, 0)),
        misclassified=result.misclassified[:6],
    )  # fmt: skip
    scores = [(row["precision"], row["recall"], row["images"]) for row in three.per_class()]
    assert scores == [(0.6, 0.75, 8), (None, 0.0, 4), (0.0, None, 0)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"confusion_matrix": [[1, 2]]}, "6x6"),
        ({"confusion_matrix": [[0] * 6] * 6, "misclassified": []}, "no images"),
        (
            {"misclassified": []},
            "0 misclassified images are listed, but the confusion matrix has 12",
        ),
        ({"accuracy_per_seed": [2.0]}, "accuracy_per_seed"),
        ({"excluding_duplicates": {"correct": -1, "total": 3}}, "excluding_duplicates"),
        ({"test_evaluations": 0}, "test_evaluations"),
        ({"calibration": {"ece": 0.1, "bins": [{"low": 0}]}}, "calibration"),
        ({"calibration": {"ece": float("nan"), "bins": []}}, "calibration"),
        ({"selected_by": "by luck"}, "selected_by"),
    ],
)
def test_damaged_test_result_is_an_error(tmp_path, result, changes, reason):
    write_test_result(tmp_path, result)
    path = tmp_path / "test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ResultsError, match=rf"(?s)test\.json is damaged.*{reason}.*from a copy"):
        read_test_result(tmp_path)


def test_an_unreadable_file_is_not_called_damaged(tmp_path):
    path = tmp_path / "test.json"
    path.mkdir()
    with pytest.raises(UnreadableError, match=r"test\.json cannot be read: Is a directory$"):
        read_test_result(tmp_path)
    with pytest.raises(UnreadableError, match=r"test\.json cannot be read: Is a directory$"):
        read_test_ledger(path)


def test_an_unreadable_result_is_not_to_be_tested_again(tmp_path):
    paths = SearchPaths(tmp_path / "first")
    paths.winner.mkdir(parents=True)
    write_model_card(paths.winner, CARD)
    (paths.winner / "test.json").mkdir()
    assert winner_step(paths).endswith("test.json cannot be read: Is a directory")


def test_test_ledger_records_every_evaluation(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert read_test_ledger(path) == []
    append_test_evaluation(path, "0001", "digest", 9, 10)
    append_test_evaluation(path, "0002", "another", 8, 10)
    first, second = read_test_ledger(path)
    assert (first.trial_id, first.model_digest, first.correct, first.total) == (
        "0001", "digest", 9, 10,
    )  # fmt: skip
    assert second.trial_id == "0002"
    assert first.time <= second.time


@pytest.mark.parametrize("line", ["{", "[]", '{"time": 1}', "", "\x80"])
def test_damaged_ledger_is_an_error(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    append_test_evaluation(path, "0001", "digest", 9, 10)
    with path.open("a", encoding="latin-1") as file:
        file.write(f"{line}\n")
    with pytest.raises(ResultsError, match=r"(?s)ledger\.jsonl is damaged.*from a copy"):
        read_test_ledger(path)
