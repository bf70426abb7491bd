"""What a test is told like."""

import dataclasses

import pytest

from handsigns.cli import main
from handsigns.cli.show import show_failures, show_test
from handsigns.results.paths import SearchPaths
from handsigns.results.winner import Misclassified, TestResult, Unseen, read_test
from handsigns.stats.calibration import Calibration


@pytest.mark.parametrize(
    ("unseen", "told"),
    [
        ((9, 10), ""),
        ((7, 8), "of the 8 that are in neither train nor val: 7 correct (87.50%)\n"),
        ((0, 0), "of the 0 that are in neither train nor val: 0 correct\n"),
    ],
)
def test_pictures_that_were_learnt_from_are_told_of(tmp_path, capsys, unseen, told):
    result = TestResult(
        classes=("a", "b"),
        confusion=((5, 0), (1, 4)),
        wrong=(Misclassified("b/7.png", 7, "b", "a", 0.5, None),),
        calibration=Calibration(0.1, ()),
        per_seed=(0.9,),
        unseen=Unseen(*unseen),
        seeds=(1,),
        kept_seeds=(1,),
        trial_id="0000",
        chosen="by rank",
        chosen_after_test=False,
        openings=1,
        fingerprint="f00d",
    )
    show_test(SearchPaths(tmp_path), result)
    output = capsys.readouterr().out
    assert "test accuracy 90.00%: 9/10 correct" in output
    assert "misclassified: b/7.png (true b, predicted a)" in output
    assert told in output
    assert ("in neither train nor val" in output) == bool(told)


@pytest.mark.parametrize("classes", [6, 26, 1000])
def test_of_many_classes_the_worst_are_printed(make_search, retrain, capsys, classes):
    search = make_search(trials=3, classes=classes)
    retrain(search)
    result = read_test(search.paths.winner)
    rows = [list(row) for row in result.confusion]
    rows[-1][-1], rows[-1][1] = 4, 30
    wrong = list(result.wrong)
    wrong += [dataclasses.replace(wrong[-1], index=9000 + n) for n in range(30)]
    result = dataclasses.replace(result, confusion=tuple(map(tuple, rows)), wrong=tuple(wrong))
    show_test(search.paths, result)
    output = capsys.readouterr().out
    lines = output.splitlines()
    table = lines[lines.index(next(line for line in lines if line.startswith("class "))) + 1 :]
    listed = [line for line in table if line.endswith(" 36")]
    assert len(listed) == min(classes, 20)
    assert f"{4 / 36:.1%}" in (listed[0] if classes > 20 else listed[-1])
    assert ("lowest recall of" in output) == (classes > 20)
    assert len(lines) < 50


def test_failures_are_told_of_once_each_in_a_line(tmp_path, capsys, make_record):
    trace = (
        'Traceback (most recent call last):\n  File "/home/ann/net.py", line 12, in forward\n'
        "    x = y\nNameError: name 'y' is not defined\n"
    )
    records = [make_record(f"000{n}", status="failed") for n in range(3)]
    errors = (trace, trace, "killed")
    records = [dataclasses.replace(r, error=e) for r, e in zip(records, errors, strict=True)]
    show_failures(SearchPaths(tmp_path), [make_record("0009"), *records])
    assert capsys.readouterr().out.splitlines() == [
        "2 trials failed (the first is 0000): NameError: name 'y' is not defined "
        "(at /home/ann/net.py, line 12, in forward)",
        "trial 0002 failed: killed",
        f"full tracebacks: {tmp_path / 'journal.jsonl'}",
    ]


def test_a_list_tells_how_far_each_winner_has_come(make_search, retrain, capsys):
    searches = {name: make_search(name, trials=3) for name in ("none", "bare", "whole", "torn")}
    for name in ("bare", "whole", "torn"):
        retrain(searches[name])
    (searches["bare"].paths.winner / "test.json").unlink()
    (searches["torn"].paths.winner / "test.json").write_text('{"accuracy": 1.0}')
    assert main(["list", "--results", str(searches["none"].paths.root.parent)]) == 0
    lines = {line.split()[0]: line.rstrip() for line in capsys.readouterr().out.splitlines()}
    assert lines["none"].endswith("–")
    assert lines["bare"].endswith("retrained")
    assert lines["whole"].endswith("test accuracy 94.44%")
    assert lines["torn"].endswith("test.json is damaged")
