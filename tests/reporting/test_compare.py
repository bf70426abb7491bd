import dataclasses
import math

import pytest

from handsigns.cli import main
from handsigns.config.sections import Objective
from handsigns.reporting.compare import compare
from handsigns.results.journal import Journal
from handsigns.results.store import open_search
from handsigns.results.test_result import read_test_result, write_test_result
from handsigns.results.trial import Placement
from handsigns.workflow import report
from tests.support.records import make_epoch_metrics, make_spec

OTHER = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 3e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "choice", "values": [16, 32, 64]},
    "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
    "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
    "momentum": {"type": "uniform", "low": 0.8, "high": 0.98},
}


def test_differing_settings_are_marked(make_search):
    first = make_search("first", trials=6)
    second = make_search("second", trials=20, space=OTHER, seed=2)
    comparison = compare([first, second])
    spaces = {name: (cells, differs) for name, cells, differs in comparison.spaces}
    assert spaces["learning_rate"] == (
        ["log_uniform: low 0.0003, high 0.03", "log_uniform: low 0.0001, high 0.03"],
        True,
    )
    assert not spaces["dropout"][1]
    assert [row[0] for row in comparison.summary] == ["first", "second"]
    assert [row[5] for row in comparison.summary] == ["6", "20"]
    assert comparison.warnings == []
    best = min([first, second], key=lambda s: s.trial(None).last_epoch.val_loss).paths.name
    assert comparison.verdict.startswith(f"{best} has the best val_loss")


def test_searches_on_different_images_are_not_ranked(make_search):
    first, second = make_search("first", trials=3), make_search("second", trials=3, seed=2)
    info = dataclasses.replace(second.data.info, fingerprint="other")
    second = dataclasses.replace(second, data=dataclasses.replace(second.data, info=info))
    comparison = compare([first, second])
    assert comparison.verdict == "The searches cannot be ranked: they used different images"
    assert "different images" in comparison.warnings[0]


def test_searches_without_the_score_are_not_ranked(make_search):
    searches = []
    for name, f1 in (("first", 0.5), ("second", math.nan), ("third", 0.9)):
        stored = make_search(name, trials=0)
        journal = Journal(stored.paths.journal, writable=True)
        journal.start_trial(make_spec("0000"))
        metrics = dataclasses.replace(make_epoch_metrics(1, 0.3), val_macro_f1=f1)
        journal.report_epoch("0000", metrics, Placement("here/1", "cpu", 1))
        journal.end_trial("0000", "completed")
        journal.close()
        search = open_search(stored.paths)
        objective = {"objective": Objective(metric="val_macro_f1")}
        config = search.config.model_copy(update=objective)
        searches.append(dataclasses.replace(search, config=config))
    assert compare(searches).verdict.startswith("third has the best val_macro_f1")
    assert compare(searches[1:2]).verdict == "No search has a result yet"


def test_winners_are_compared_by_mcnemars_test(make_search, add_scripted_winner):
    first, second = make_search("first", trials=3), make_search("second", trials=3, seed=2)
    assert compare([first, second]).tests == []
    for search in (first, second):
        add_scripted_winner(search)
    same = compare([first, second]).tests
    assert "p = 1, not significant at the 5% level" in same[0]
    # Six of the twelve misclassified by the first are correct here, and no others misclassified.
    test = read_test_result(second.paths.winner)
    confusion = tuple(
        tuple(count + (i == j) - (j == (i + 1) % 6) for j, count in enumerate(row))
        for i, row in enumerate(test.confusion_matrix)
    )
    better = dataclasses.replace(
        test, confusion_matrix=confusion, misclassified=test.misclassified[6:]
    )
    write_test_result(second.paths.winner, better)
    (sentence,) = compare([first, second]).tests
    assert "the winner of second classifies 210 correctly, that of first 204" in sentence
    assert "6 are correct only with the former, 0 only with the latter" in sentence
    assert "p = 0.031, significant at the 5% level" in sentence
    third = make_search("third", trials=3, seed=3)
    add_scripted_winner(third)
    _, sentence = compare([first, second, third]).tests
    # Three pairs with p = 0.031, 0.031 and 1: the smallest is multiplied by 3.
    assert "p = 0.094 after Holm's correction for 3 pairs, not significant" in sentence
    write_test_result(second.paths.winner, dataclasses.replace(better, fingerprint="other"))
    assert "different images" in compare([first, second]).tests[0]


def test_a_damaged_test_result_is_a_warning(make_search):
    searches = [make_search(name, trials=2) for name in ("first", "second")]
    winner = searches[1].paths.winner
    winner.mkdir()
    (winner / "test.json").write_text("{")
    warning = "second/winner/test.json is damaged and was left out."
    assert compare(searches).warnings == [warning]


@pytest.mark.slow
def test_compare_command_writes_page_and_figures(make_search, tmp_path, capsys):
    for name in ("first", "second", "empty"):
        make_search(name, trials=0 if name == "empty" else 5, hostile=name == "second")
    options = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert main(["compare", "first", "second", "empty", *options]) == 0
    out = capsys.readouterr().out
    assert "val_accuracy" in out
    page = tmp_path / "reports" / "compare-first+second+empty" / "index.html"
    assert str(page) in out.replace("\n", "")
    assert "Search spaces and settings" in page.read_text()
    assert (page.parent / "figures" / "best_over_time.svg").is_file()


@pytest.mark.parametrize("names", [["first"], ["first", "first"], ["first", "absent"]])
def test_compare_requires_two_existing_searches(make_search, tmp_path, names):
    make_search("first", trials=2)
    assert main(["compare", *names, "--results", str(tmp_path / "results")]) == 2


@pytest.mark.parametrize("prefix", ["", "n" * 70 + "-"])
def test_comparisons_of_different_searches_have_different_folders(
    make_search, tmp_path, monkeypatch, prefix
):
    monkeypatch.setattr(
        "handsigns.reporting.compare.write_comparison", lambda comparison, searches, folder: folder
    )
    for name in ("a-b", "c", "a", "b-c"):
        make_search(prefix + name, trials=0)
    folders = [
        report.compare([prefix + name for name in pair], tmp_path / "results")[1]
        for pair in (("a-b", "c"), ("a", "b-c"))
    ]
    assert folders[0] != folders[1]
    assert all(len(folder.name) <= 100 for folder in folders)
