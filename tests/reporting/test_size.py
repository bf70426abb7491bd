"""Figures of accuracy against size and latency, the ring, and columns of the leaderboard."""

import dataclasses
import io

import pytest

from handsigns.reporting.figures import importance, pairs, size
from handsigns.reporting.figures.importance import slice_plot
from handsigns.reporting.figures.pairs import pair_maps
from handsigns.reporting.figures.size import size_figures
from handsigns.reporting.leaderboard import write_leaderboard
from handsigns.results.journal import Journal
from handsigns.results.networks import NetworkProfile
from handsigns.results.store import open_search
from handsigns.results.trial import Placement
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.scripted import simulate_search

TRIALS = [(100, 0.8, "completed"), (300, 0.9, "completed"), (400, 0.85, "completed"),
          (50, 0.95, "stopped")]  # fmt: skip
"""Parameters, accuracy and status."""


@pytest.fixture
def make_search(tmp_path):
    """Return a factory of searches of these trials, with or without measured latencies."""

    def make(latency_ms, trials=TRIALS):
        stored = simulate_search(tmp_path, str(len(trials)), trials=0)
        journal = Journal(stored.paths.journal, writable=True)
        for number, (parameters, accuracy, status) in enumerate(trials):
            trial_id = f"{number:04d}"
            network = NetworkProfile(parameters, 4 * parameters, latency_ms)
            journal.start_trial(dataclasses.replace(make_spec(trial_id), network=network))
            metrics = make_epoch_metrics(1, 1 - accuracy, accuracy)
            journal.report_epoch(trial_id, metrics, Placement("laptop/1", "cpu", 1))
            journal.end_trial(trial_id, status)
        journal.close()
        return open_search(stored.paths)

    return make


def test_the_front_consists_of_trials_trained_to_the_end(make_search):
    figures = size_figures(make_search(1.5))
    assert [f.name for f in figures] == ["score_over_parameters", "score_over_latency_ms"]
    assert [row["trial"] for row in figures[0].data["front"]] == ["0000", "0001"]
    assert len(figures[0].data["rows"]) == 4
    assert "trial 0001 90.0% at 300" in figures[0].alt


def test_the_caption_says_which_trials_the_front_is_of(make_search):
    for trials, text in (
        (TRIALS, "the trials that trained to the end"),
        (TRIALS[3:], "all trials"),
    ):
        (figure,) = size_figures(make_search(None, trials))
        assert f"of {text}: no other one" in figure.caption


def test_front_and_ring_consider_all_trials(make_search, monkeypatch):
    monkeypatch.setattr(size, "_MAX_POINTS", 2)
    search = make_search(None)
    monkeypatch.setattr(type(search), "winner", search.trial("0001"))
    (figure,) = size_figures(search)
    assert len(figure.data["rows"]) == 2
    assert [row["trial"] for row in figure.data["front"]] == ["0000", "0001"]
    assert [row["trial"] for row in figure.data["winner"]] == ["0001"]


@pytest.mark.parametrize("module", [importance, pairs])
def test_the_winner_is_ringed_in_large_searches(tmp_path, monkeypatch, module):
    monkeypatch.setattr(module, "_MAX_POINTS", 2)
    search = simulate_search(tmp_path, trials=30)
    winner = search.ranked[1]  # such as the best one of a re-evaluation
    monkeypatch.setattr(type(search), "winner", winner)
    names = ["learning_rate", "dropout"]
    figure = slice_plot(search, "dropout") if module is importance else pair_maps(search, names)[0]
    assert [row["trial"] for row in figure.data["winner"]] == [winner.trial_id]


def test_what_was_not_measured_has_neither_figure_nor_column(make_search):
    search = make_search(None)
    assert [figure.name for figure in size_figures(search)] == ["score_over_parameters"]
    out = io.StringIO()
    write_leaderboard(search, 1, "md", out)
    header, _, first = out.getvalue().splitlines()
    assert "| parameters | model_bytes | " in header
    assert "latency_ms" not in header
    assert "| 50 | 200 | " in first


def test_a_search_without_limits_has_neither(tmp_path):
    search = simulate_search(tmp_path, trials=3)
    assert size_figures(search) == []
    out = io.StringIO()
    write_leaderboard(search, None, "csv", out)
    assert "parameters" not in out.getvalue()
