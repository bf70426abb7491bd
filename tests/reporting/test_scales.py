"""Ticks and number formats of axes: enough labels, none of them twice."""

import re

import altair as alt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vl_convert import vegalite_to_svg

from handsigns.config.sections import Objective
from handsigns.reporting.figures.scales import log_ticks, value_y
from handsigns.reporting.figures.trial import trial_curves

ACCURACY = Objective(metric="val_accuracy")


def percentages(spec):
    """Return the labels of a rendered figure that are percentages."""
    return re.findall(r"<text[^>]*>([^<]*%)</text>", vegalite_to_svg(spec))


@pytest.mark.parametrize("scores", [(0.97, 0.985), (0.9905, 0.9917), (0.99, 0.993), (0.2, 0.9)])
def test_labels_of_scores_that_differ_little_are_distinct(scores):
    rows = [{"epoch": e, "split": "training", "accuracy": s} for e, s in enumerate(scores)]
    trial = trial_curves(ACCURACY)["accuracy"] | {"width": 300, "datasets": {"rows": rows}}
    data = alt.Data(values=[{"value": score} for score in scores])
    search = alt.Chart(data).mark_point().encode(y=value_y(scores, ACCURACY)).to_dict()
    for labels in map(percentages, (trial, search)):
        assert len(set(labels)) == len(labels) > 2


def test_a_tooltip_does_not_round_a_score_to_one():
    tooltips = trial_curves(ACCURACY)["accuracy"]["encoding"]["tooltip"]
    assert [tooltip.get("format") for tooltip in tooltips] == [None, None, ".2%"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.001, 0.1, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]),
        (0.31, 0.48, [0.35, 0.4, 0.45]),
        (0.41, 0.49, [0.42, 0.44, 0.46, 0.48]),
        (0.4122, 0.4124, [0.4122, 0.41225, 0.4123, 0.41235, 0.4124]),
        (0.412, 0.412, [0.412]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_few_round_numbers(low, high, ticks):
    assert log_ticks(low, high) == ticks


@given(low=st.floats(1e-5, 1e4), ratio=st.floats(1.0001, 1000))
def test_ticks_of_any_range_are_a_few_within_it(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0]
    assert ticks[-1] <= low * ratio
