"""The winner's summary: complete, tolerant of damage, and with images of its folder only."""

import dataclasses
import json

import pytest

from handsigns.reporting.context import per_class
from handsigns.reporting.winner import read_winner_summary
from handsigns.results.test_result import read_test_result, write_test_result
from handsigns.results.winner import read_retraining
from handsigns.stats.intervals import wilson_interval


@pytest.fixture
def search(make_search, add_scripted_winner):
    stored = make_search(trials=4)
    add_scripted_winner(stored)
    return stored


def change_test(search, **fields):
    path = search.paths.winner / "test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_all_files_are_read(search):
    summary = read_winner_summary(search.paths)
    assert summary.test == read_test_result(search.paths.winner)
    assert summary.retraining == read_retraining(search.paths.winner)
    assert [image for image, _ in summary.misclassified_images] == list(summary.test.misclassified)
    assert all(uri.startswith("data:image/png;base64,") for _, uri in summary.misclassified_images)
    assert summary.test_evaluations == 2
    assert summary.problems == ()


def test_class_intervals_use_the_class_counts(search):
    test = read_test_result(search.paths.winner)
    test = dataclasses.replace(
        test, classes=("a", "b", "c"),
        confusion_matrix=((6, 0, 2), (4, 0, 0), (0, 0, 0)), misclassified=test.misclassified[:6],
    )  # fmt: skip
    first, second, third = per_class(test)
    assert (first["name"], first["precision"], first["recall"]) == ("a", 0.6, 0.75)
    assert first["precision_interval"] == wilson_interval(6, 10)
    assert first["recall_interval"] == wilson_interval(6, 8)
    assert (second["precision"], second["precision_interval"]) == (None, None)
    assert second["recall_interval"] == wilson_interval(0, 4)
    assert third["precision_interval"] == wilson_interval(0, 2)
    assert (third["recall"], third["recall_interval"], third["images"]) == (None, None, 0)


def test_a_missing_winner_is_no_problem(make_search):
    summary = read_winner_summary(make_search(trials=2).paths)
    assert (summary.test, summary.retraining, summary.test_evaluations) == (None, None, 0)
    assert summary.problems == ()


def test_a_missing_test_is_no_problem(search):
    (search.paths.winner / "test.json").unlink()
    summary = read_winner_summary(search.paths)
    assert (summary.test, summary.misclassified_images, summary.problems) == (None, (), ())
    assert summary.retraining is not None
    assert summary.test_evaluations == 2, "from the ledger alone"


def test_evaluations_are_counted_without_the_ledger(search):
    search.paths.test_ledger.unlink()
    summary = read_winner_summary(search.paths)
    assert (summary.test_evaluations, summary.problems) == (2, ())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"accuracy": NaN}', '"x"', "[" * 5000])
@pytest.mark.parametrize("name", ["winner/test.json", "winner/metrics.json", "test_ledger.jsonl"])
def test_a_damaged_file_is_reported_and_others_are_read(search, name, text):
    intact = read_winner_summary(search.paths)
    (search.paths.root / name).write_text(text or "\n")
    summary = read_winner_summary(search.paths)
    assert summary.problems == (f"{name} is damaged and was left out",)
    assert summary.test == (None if "test.json" in name else intact.test)
    assert summary.retraining == (None if "metrics.json" in name else intact.retraining)
    assert summary.test_evaluations == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"calibration": {"ece": "high", "bins": []}},
        {"accuracy_per_seed": [2.0]},
        {"excluding_duplicates": {"correct": -1, "total": 3}},
        {"confusion_matrix": [[1, 2]]},
    ],
)
def test_an_invalid_field_damages_the_test_result(search, fields):
    change_test(search, **fields)
    summary = read_winner_summary(search.paths)
    assert summary.test is None
    assert summary.problems == ("winner/test.json is damaged and was left out",)


@pytest.mark.parametrize(
    "file", ["../secret.png", "/etc/passwd", "link.png", "text.png", "a\0b", "."]
)
def test_only_png_files_within_the_folder_are_shown(search, file):
    png = (search.paths.winner / "misclassified" / "00.png").read_bytes()
    (search.paths.root / "secret.png").write_bytes(png)
    (search.paths.winner / "link.png").symlink_to(search.paths.root / "secret.png")
    (search.paths.winner / "text.png").write_text("<script>")
    test = read_test_result(search.paths.winner)
    first = dataclasses.replace(test.misclassified[0], file=file)
    changed = dataclasses.replace(test, misclassified=(first, *test.misclassified[1:]))
    write_test_result(search.paths.winner, changed)
    summary = read_winner_summary(search.paths)
    assert summary.misclassified_images[1][1] is not None
    assert summary.misclassified_images[0][1] is None
    assert "cannot be shown" in summary.problems[0]
