import json

import pytest

from handsigns.report.winner import openings, read_winner


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
    assert known.test.correct == 204
    assert known.calibration.ece == 0.031
    assert len(known.per_seed) == 2
    assert (known.unseen.correct, known.unseen.total) == (190, 201)
    assert len(known.album) == 12
    assert all(uri.startswith("data:image/png;base64,") for _, uri in known.album)
    assert known.problems == ()
    assert openings(search.paths, []) == 2


def test_an_older_search_lacks_some(make_search, retrain):
    stored = make_search(trials=4)
    retrain(stored, extra=False)
    known = read_winner(stored.paths)
    assert known.test is not None
    assert (known.calibration, known.per_seed, known.problems) == (None, (), ())
    assert {uri for _, uri in known.album} == {None}


def test_no_winner_is_no_problem(make_search):
    known = read_winner(make_search(trials=2).paths)
    assert (known.test, known.retraining, known.problems) == (None, None, ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("calibration", {"ece": "high"}),
        ("calibration", [1]),
        ("per_seed", [2.0]),
        ("per_seed", "x"),
        ("unseen", {"correct": -1, "total": 3}),
    ],
)
def test_a_damaged_part_spares_the_rest(search, field, value):
    change(search, **{field: value})
    known = read_winner(search.paths)
    assert known.test is not None
    assert field in known.problems[0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"accuracy": NaN}', '"x"', "[" * 5000])
def test_damaged_files_are_told_of(search, text):
    (search.paths.winner / "test.json").write_text(text)
    (search.paths.winner / "metrics.json").write_text(text)
    search.paths.test_ledger.write_text("{")
    known = read_winner(search.paths)
    assert (known.test, known.retraining) == (None, None)
    assert len(known.problems) == 2
    problems = []
    assert openings(search.paths, problems) == 0
    assert problems


def test_a_confusion_matrix_must_fit_its_classes(search):
    change(search, confusion=[[1, 2]])
    known = read_winner(search.paths)
    assert known.test is None
    assert "confusion" in known.problems[0]


@pytest.mark.parametrize(
    "file", ["../secret.png", "/etc/passwd", "link.png", "text.png", "a\0b", "."]
)
def test_only_pngs_within_the_folder_are_shown(search, file):
    png = (search.paths.winner / "wrong" / "00.png").read_bytes()
    (search.paths.root / "secret.png").write_bytes(png)
    (search.paths.winner / "link.png").symlink_to(search.paths.root / "secret.png")
    (search.paths.winner / "text.png").write_text("<script>")
    change(search, wrong=[{"picture": "p", "true": "0", "predicted": "1", "file": file}])
    known = read_winner(search.paths)
    assert known.album[0][1] is None
    assert "cannot be shown" in known.problems[0]
