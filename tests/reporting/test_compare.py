import dataclasses

import pytest

from handsigns.cli import main
from handsigns.reporting.compare import compare
from handsigns.results.winner import read_test, write_test

OTHER = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 3e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [16, 32, 64]},
    "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
    "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
    "momentum": {"type": "uniform", "low": 0.8, "high": 0.98},
}


def test_differences_are_marked(make_search):
    first = make_search("first", trials=6)
    second = make_search("second", trials=20, space=OTHER, seed=2)
    found = compare([first, second])
    spaces = {name: (cells, differs) for name, cells, differs in found.spaces}
    assert spaces["learning_rate"] == (
        ["log_uniform: low 0.0003, high 0.03", "log_uniform: low 0.0001, high 0.03"],
        True,
    )
    assert not spaces["dropout"][1]
    assert [row[0] for row in found.summary] == ["first", "second"]
    assert [row[5] for row in found.summary] == ["6", "20"]
    assert found.warnings == []
    best = min([first, second], key=lambda s: s.trial(None).last.val_loss).paths.name
    assert found.verdict.startswith(f"{best} found the best by val_loss")


def test_no_best_is_named_where_the_images_differ(make_search):
    first, second = make_search("first", trials=3), make_search("second", trials=3, seed=2)
    info = dataclasses.replace(second.data.info, fingerprint="other")
    second = dataclasses.replace(second, data=dataclasses.replace(second.data, info=info))
    found = compare([first, second])
    assert found.verdict == "No best search can be named: they used different images"
    assert "different images" in found.warnings[0]


def test_the_winners_tests_are_compared_picture_by_picture(make_search, retrain):
    first, second = make_search("first", trials=3), make_search("second", trials=3, seed=2)
    assert compare([first, second]).tests == []
    for search in (first, second):
        retrain(search)
    same = compare([first, second]).tests
    assert "p = 1, which may well be chance" in same[0]
    # Six of the twelve misclassified by the first are correct here, and no others are wrong.
    test = read_test(second.paths.winner)
    confusion = tuple(
        tuple(count + (i == j) - (j == (i + 1) % 6) for j, count in enumerate(row))
        for i, row in enumerate(test.confusion)
    )
    better = dataclasses.replace(test, confusion=confusion, wrong=test.wrong[6:])
    write_test(second.paths.winner, better)
    (told,) = compare([first, second]).tests
    assert "the winner of second has 210 right, that of first 204" in told
    assert "6 pictures only the first has right, 0 only the second" in told
    assert "p = 0.031, which is unlikely to be chance" in told
    write_test(second.paths.winner, dataclasses.replace(better, fingerprint="other"))
    assert "different pictures" in compare([first, second]).tests[0]


def test_the_command(make_search, tmp_path, capsys):
    for name in ("first", "second", "empty"):
        make_search(name, trials=0 if name == "empty" else 5, hostile=name == "second")
    where = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert main(["compare", "first", "second", "empty", *where]) == 0
    out = capsys.readouterr().out
    assert "val_accuracy" in out
    page = tmp_path / "reports" / "compare-first-second-empty" / "index.html"
    assert str(page) in out.replace("\n", "")
    assert "Spaces and settings" in page.read_text()
    assert (page.parent / "figures" / "best_over_time.svg").is_file()


@pytest.mark.parametrize("names", [["first"], ["first", "first"], ["first", "absent"]])
def test_two_searches_are_needed(make_search, tmp_path, names):
    make_search("first", trials=2)
    assert main(["compare", *names, "--results", str(tmp_path / "results")]) == 2
