"""What a page knows of the winner: all there is, damage in words, and images of its folder only."""

import dataclasses
import json

import pytest

from handsigns.reporting.context import per_class
from handsigns.reporting.winner import read_winner
from handsigns.results.winner import read_retraining, read_test, write_test
from handsigns.stats.intervals import wilson_interval


@pytest.fixture
def search(make_search, retrain):
    stored = make_search(trials=4)
    retrain(stored)
    return stored


def change(search, **fields):
    path = search.paths.winner / "test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_all_of_it_is_read(search):
    known = read_winner(search.paths)
    assert known.test == read_test(search.paths.winner)
    assert known.retraining == read_retraining(search.paths.winner)
    assert [wrong for wrong, _ in known.album] == list(known.test.wrong)
    assert all(uri.startswith("data:image/png;base64,") for _, uri in known.album)
    assert known.openings == 2
    assert known.problems == ()


def test_each_class_has_the_intervals_of_its_own_counts(search):
    test = dataclasses.replace(
        read_test(search.paths.winner), classes=("a", "b", "c"),
        confusion=((6, 0, 2), (4, 0, 0), (0, 0, 0)), wrong=read_test(search.paths.winner).wrong[:6],
    )  # fmt: skip
    first, second, third = per_class(test)
    assert (first["name"], first["precision"], first["recall"]) == ("a", 0.6, 0.75)
    assert first["precision_interval"] == wilson_interval(6, 10)
    assert first["recall_interval"] == wilson_interval(6, 8)
    assert (second["precision"], second["precision_interval"]) == (None, None)
    assert second["recall_interval"] == wilson_interval(0, 4)
    assert third["precision_interval"] == wilson_interval(0, 2)
    assert (third["recall"], third["recall_interval"], third["pictures"]) == (None, None, 0)


def test_no_winner_is_no_problem(make_search):
    known = read_winner(make_search(trials=2).paths)
    assert (known.test, known.retraining, known.openings) == (None, None, 0)
    assert known.problems == ()


def test_no_test_is_no_problem(search):
    (search.paths.winner / "test.json").unlink()
    known = read_winner(search.paths)
    assert (known.test, known.album, known.problems) == (None, (), ())
    assert known.retraining is not None
    assert known.openings == 2, "by the ledger alone"


def test_a_lost_ledger_hides_no_opening(search):
    search.paths.test_ledger.unlink()
    known = read_winner(search.paths)
    assert (known.openings, known.problems) == (2, ())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"accuracy": NaN}', '"x"', "[" * 5000])
@pytest.mark.parametrize("name", ["winner/test.json", "winner/metrics.json", "test_ledger.jsonl"])
def test_a_damaged_file_is_reported_and_spares_the_rest(search, name, text):
    whole = read_winner(search.paths)
    (search.paths.root / name).write_text(text or "\n")
    known = read_winner(search.paths)
    assert known.problems == (f"{name} is damaged and was left out",)
    assert known.test == (None if "test.json" in name else whole.test)
    assert known.retraining == (None if "metrics.json" in name else whole.retraining)
    assert known.openings == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"calibration": {"ece": "high", "bins": []}},
        {"per_seed": [2.0]},
        {"unseen": {"correct": -1, "total": 3}},
        {"confusion": [[1, 2]]},
    ],
)
def test_a_damaged_part_of_a_test_is_damage(search, fields):
    change(search, **fields)
    known = read_winner(search.paths)
    assert known.test is None
    assert known.problems == ("winner/test.json is damaged and was left out",)


@pytest.mark.parametrize(
    "file", ["../secret.png", "/etc/passwd", "link.png", "text.png", "a\0b", "."]
)
def test_only_pngs_within_the_folder_are_shown(search, file):
    png = (search.paths.winner / "wrong" / "00.png").read_bytes()
    (search.paths.root / "secret.png").write_bytes(png)
    (search.paths.winner / "link.png").symlink_to(search.paths.root / "secret.png")
    (search.paths.winner / "text.png").write_text("<script>")
    test = read_test(search.paths.winner)
    first = dataclasses.replace(test.wrong[0], file=file)
    write_test(search.paths.winner, dataclasses.replace(test, wrong=(first, *test.wrong[1:])))
    known = read_winner(search.paths)
    assert known.album[1][1] is not None
    assert known.album[0][1] is None
    assert "cannot be shown" in known.problems[0]
