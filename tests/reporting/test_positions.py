import dataclasses

import pytest

from handsigns.reporting.figures.importance import slice_plot
from handsigns.reporting.figures.pairs import pair_maps
from handsigns.reporting.figures.parallel import parallel_coordinates
from handsigns.reporting.range_edges import find_edges
from handsigns.results.journal import Journal
from handsigns.results.store import open_search
from handsigns.results.trial import Placement
from tests.support.records import make_epoch_metrics, make_search_config, make_spec

RATE = {"type": "log_uniform", "low": 0.01, "high": 1.0}
RECORDED = [0.0, "text", True, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]


@pytest.fixture
def edited_search(make_search):
    """Search whose best trials have values that the edited range of `custom.x` cannot place."""
    search = make_search(trials=0)
    journal = Journal(search.paths.journal, writable=True)
    for number, value in enumerate(RECORDED):
        trial_id = f"{number:04d}"
        journal.start_trial(make_spec(trial_id, {"custom.x": value, "custom.y": 0.5}))
        metrics = make_epoch_metrics(1, 0.5 + number / 100)
        journal.report_epoch(trial_id, metrics, Placement("here/1", "cpu", 1))
    journal.close()
    edited = make_search_config({"custom": {"x": RATE, "y": RATE}})
    return dataclasses.replace(open_search(search.paths), config=edited)


def test_figures_omit_values_that_an_edited_range_cannot_place(edited_search):
    lines = parallel_coordinates(edited_search).data["rows"]
    assert [row["custom.x"] for row in lines[::-1]][:5] == [None, None, None, 0.0, 0.5]
    (heat_map,) = pair_maps(edited_search, ["custom.x", "custom.y"])
    for figure, name in ((slice_plot(edited_search, "custom.x"), "rows"), (heat_map, "trials")):
        assert [row["x"] for row in figure.data[name]] == RECORDED[3:]


@pytest.mark.parametrize("value", [0.0, "text", True])
def test_values_that_an_edited_range_cannot_place_are_no_edges(value):
    space = make_search_config({"custom": {"x": RATE}}).space
    assert find_edges(space, {"custom.x": value}) == []
