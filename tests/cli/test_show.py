"""What a test is told like."""

import numpy as np
import pytest

from handsigns.cli.show import show_test
from handsigns.results.paths import SearchPaths
from handsigns.stats.calibration import Calibration
from handsigns.winner.test import TestResult


@pytest.mark.parametrize(
    ("unseen", "told"),
    [
        ((9, 10), ""),
        ((7, 8), "of the 8 that are in neither train nor val: 7 right (87.50%)\n"),
        ((0, 0), "of the 0 that are in neither train nor val: 0 right\n"),
    ],
)
def test_pictures_that_were_learnt_from_are_told_of(tmp_path, capsys, unseen, told):
    confusion = np.array([[5, 0], [1, 4]])
    result = TestResult(("a", "b"), confusion, (), Calibration(0.1, ()), (0.9,), unseen, openings=1)
    show_test(SearchPaths(tmp_path), result)
    output = capsys.readouterr().out
    assert "test accuracy 90.00%: 9 of 10 right" in output
    assert told in output
    assert ("in neither train nor val" in output) == bool(told)
