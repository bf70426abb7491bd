"""Terminal output shared by several commands."""

import dataclasses
from pathlib import Path

import pytest

from handsigns.cli import main
from handsigns.cli.commands.predict import _show_table
from handsigns.cli.show import show_failures, show_test, show_trackers
from handsigns.results.paths import SearchPaths
from handsigns.results.test_result import (
    Misclassified,
    NonDuplicateScore,
    TestResult,
    read_test_result,
)
from handsigns.stats.calibration import Calibration
from handsigns.winner.predict import Prediction
from tests.support.scripted import add_weak_class


@pytest.mark.parametrize(
    ("score", "line"),
    [
        ((9, 10), ""),
        ((7, 8), "excluding near-duplicates of train and val: 7/8 correct (87.50%)\n"),
        ((0, 0), "excluding near-duplicates of train and val: 0/0 correct\n"),
    ],
)
def test_accuracy_without_duplicates_is_printed(tmp_path, capsys, score, line):
    result = TestResult(
        classes=("a", "b"),
        confusion_matrix=((5, 0), (1, 4)),
        misclassified=(Misclassified("b/7.png", 7, "b", "a", 0.5, None),),
        calibration=Calibration(0.1, ()),
        accuracy_per_seed=(0.9,),
        excluding_duplicates=NonDuplicateScore(*score),
        seeds=(1,),
        selected_seeds=(1,),
        trial_id="0000",
        selected_by="rank",
        selected_after_test=False,
        test_evaluations=1,
        fingerprint="f00d",
    )
    show_test(SearchPaths(tmp_path), result)
    output = capsys.readouterr().out
    assert "test accuracy 90.00%: 9/10 correct" in output
    assert "misclassified: b/7.png (true b, predicted a)" in output
    assert line in output
    assert ("excluding near-duplicates" in output) == bool(line)
    assert "balanced accuracy" not in output
    imbalanced = dataclasses.replace(result, confusion_matrix=((94, 0), (1, 4)))
    show_test(SearchPaths(tmp_path), imbalanced)
    output = capsys.readouterr().out
    assert "test accuracy 98.99%: 98/99 correct" in output
    assert "balanced accuracy 90.00%, macro F1 94.18%" in output  # F1: 188 / 189 and 8 / 9


@pytest.mark.parametrize("classes", [6, 26, 1000])
def test_only_the_worst_of_many_classes_are_printed(
    make_search, add_scripted_winner, capsys, classes
):
    search = make_search(trials=3, classes=classes)
    add_scripted_winner(search)
    result = add_weak_class(read_test_result(search.paths.winner))
    show_test(search.paths, result)
    output = capsys.readouterr().out
    lines = output.splitlines()
    table = lines[lines.index(next(line for line in lines if line.startswith("class "))) + 1 :]
    listed = [line for line in table if line.endswith(" 36")]
    assert len(listed) == min(classes, 20)
    assert f"{4 / 36:.1%}" in (listed[0] if classes > 20 else listed[-1])
    assert ("classes with the lowest recall" in output) == (classes > 20)
    assert len(lines) < 50


def test_each_cause_of_failures_is_printed_once(tmp_path, capsys, make_record):
    trace = (
        'Traceback (most recent call last):\n  File "/home/ann/net.py", line 12, in forward\n'
        "    x = y\nNameError: name 'y' is not defined\n"
    )
    records = [make_record(f"000{n}", status="failed") for n in range(3)]
    errors = (trace, trace, "killed")
    records = [dataclasses.replace(r, error=e) for r, e in zip(records, errors, strict=True)]
    show_failures(SearchPaths(tmp_path), [make_record("0009"), *records])
    assert capsys.readouterr().out.splitlines() == [
        "2 trials failed (first: 0000): NameError: name 'y' is not defined "
        "(at /home/ann/net.py, line 12, in forward)",
        "trial 0002 failed: killed",
        f"full tracebacks: {tmp_path / 'journal.jsonl'}",
    ]


def test_list_shows_the_status_of_each_winner(make_search, add_scripted_winner, capsys):
    searches = {
        name: make_search(name, trials=3) for name in ("none", "retrained", "tested", "damaged")
    }
    for name in ("retrained", "tested", "damaged"):
        add_scripted_winner(searches[name])
    (searches["retrained"].paths.winner / "test.json").unlink()
    (searches["damaged"].paths.winner / "test.json").write_text('{"accuracy": 1.0}')
    assert main(["list", "--results", str(searches["none"].paths.root.parent)]) == 0
    lines = {line.split()[0]: line.rstrip() for line in capsys.readouterr().out.splitlines()}
    assert lines["none"].endswith("–")
    assert lines["retrained"].endswith("retrained")
    assert lines["tested"].endswith("test accuracy 94.44%")
    assert lines["damaged"].endswith("test.json is damaged")


def test_commands_of_trackers_are_quoted(tmp_path, capsys, make_search_config):
    config = make_search_config(tracking=dict.fromkeys(("tensorboard", "mlflow", "wandb"), True))
    root = tmp_path / "my results" / "one"
    show_trackers(SearchPaths(root), config)
    tensorboard, mlflow, wandb = capsys.readouterr().out.splitlines()
    assert tensorboard.endswith(f"tensorboard --logdir '{root}/tensorboard'")
    assert mlflow.endswith(f"mlflow ui --backend-store-uri 'sqlite:///{root}/mlflow/mlflow.db'")
    assert f"wandb sync '{root}/wandb'/offline-run-* " in wandb


def test_list_refuses_what_is_no_folder_of_searches(make_search, capsys):
    paths = make_search("one", trials=1).paths
    assert main(["list", "--results", str(paths.journal)]) == 2
    assert f"{paths.journal} is not a folder; pass the one" in capsys.readouterr().err
    assert main(["list", "--results", str(paths.root)]) == 2
    assert f"list it with --results {paths.root.parent}" in capsys.readouterr().err


def test_predicted_classes_named_like_columns_keep_theirs(capsys):
    _show_table([Prediction(Path("a.png"), {"image": 0.25, "label": 0.75})])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["image", "label", "image", "label"]
    assert row.split() == ["a.png", "label", "25.0%", "75.0%"]


def test_control_characters_of_class_names_are_escaped(capsys):
    _show_table([Prediction(Path("a.png"), {"\x1b[2Jcat": 0.25, "dog": 0.75})])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[2Jcat" in printed.splitlines()[0]
