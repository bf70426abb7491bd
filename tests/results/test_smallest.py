"""Choice of the smallest network within a margin of the winner's accuracy."""

import numpy as np
import pytest

from handsigns.results.journal import Journal
from handsigns.results.reevaluation import ReevaluationPlan, write_plan
from handsigns.results.smallest import smallest_within
from handsigns.results.store import open_search
from handsigns.results.trial import Placement, Session
from tests.support.records import make_epoch_metrics, make_spec
from tests.support.scripted import simulate_search

WIDTHS = {"0000": 24, "0001": 16, "0002": 8}
HERE = Placement("laptop/1", "cpu", 1)


def count(record):
    return 100 * record.config.channel_width


def write(journal, trial_id, width, loss, accuracy, status="completed"):
    journal.start_trial(make_spec(trial_id, {"learning_rate": 1e-3, "channel_width": width}))
    journal.report_epoch(trial_id, make_epoch_metrics(1, loss, accuracy), HERE)
    journal.end_trial(trial_id, status)


@pytest.fixture
def make_search(tmp_path):
    """Return a factory of searches with these accuracies by trial, the wider the lower its loss."""

    def make(accuracies, runs=None):
        stored = simulate_search(tmp_path, trials=0)
        journal = Journal(stored.paths.journal, writable=True)
        for trial_id, accuracy in accuracies.items():
            width = WIDTHS[trial_id]
            write(journal, trial_id, width, 1 / width, accuracy)
        journal.close()
        if runs is not None:
            paths = stored.paths.reevaluation
            paths.root.mkdir()
            journal = Journal(paths.journal, writable=True)
            journal.start_session(Session(stored.data.info.fingerprint, {}))
            for trial_id, values in runs.items():
                for seed, accuracy in enumerate(values):
                    width = WIDTHS[trial_id]
                    write(journal, f"{trial_id}-seed{seed}", width, 1 / width, accuracy)
            journal.close()
            write_plan(paths, ReevaluationPlan(tuple(runs), 3, 0), [])
        return open_search(stored.paths)

    return make


@pytest.mark.parametrize(
    ("margin", "trial_id"), [(0.0, "0000"), (0.009, "0000"), (0.01, "0001"), (0.05, "0002")]
)
def test_single_runs_are_compared_by_their_accuracy(make_search, margin, trial_id):
    search = make_search({"0000": 0.97, "0001": 0.96, "0002": 0.92})
    assert smallest_within(search, margin, count).record.trial_id == trial_id


def test_accuracies_rounded_to_float32_are_within_an_exact_margin(make_search):
    best, other = (float(np.float32(count / 400)) for count in (377, 357))
    assert best - other > 0.05 + 1e-9
    search = make_search({"0000": best, "0002": other})
    assert smallest_within(search, 0.05, count).record.trial_id == "0002"


def test_the_interval_of_single_runs_is_that_of_proportions(make_search):
    choice = smallest_within(make_search({"0000": 0.97, "0002": 0.85}), 0.2, count)
    low, high = choice.interval
    assert 0 < low < choice.difference < high
    assert (choice.parameters, choice.winner_parameters, choice.runs) == (800, 2400, 0)
    assert "in place of the winner, trial 0000, with 2,400" in choice.describe()
    assert choice.describe().endswith("distinguishably worse")


def test_trials_on_different_images_have_no_interval(make_search):
    search = make_search({"0000": 0.97, "0002": 0.85})
    journal = Journal(search.paths.journal, writable=True)
    journal.start_session(Session("0ther", {}))
    write(journal, "0003", 4, 0.5, 0.96)
    journal.close()
    choice = smallest_within(open_search(search.paths), 0.05, count)
    assert (choice.record.trial_id, choice.interval) == ("0003", None)


def test_reevaluated_trials_are_compared_run_by_run(make_search):
    search = make_search(
        {"0000": 0.97, "0001": 0.96, "0002": 0.97},
        {"0000": [0.95, 0.90, 0.92], "0001": [0.946, 0.894, 0.915]},
    )
    choice = smallest_within(search, 0.006, count)
    assert choice.record.trial_id == "0001", "the smallest was not re-evaluated"
    assert choice.difference == pytest.approx(0.005)
    low, high = choice.interval
    assert (low, high) == pytest.approx((0.0025, 0.0075), abs=2e-4), "the pairs vary little"
    assert "distinguishably worse, but perhaps by more" in choice.describe()
    assert smallest_within(search, 0.004, count).record.trial_id == "0000"


def test_without_a_smaller_network_the_winner_stays(make_search):
    choice = smallest_within(make_search({"0000": 0.97, "0001": 0.5}), 0.01, count)
    assert choice.describe().startswith("no network is smaller than the winner's, trial 0000")


def test_the_winner_stays_among_networks_of_its_size(make_search):
    # The score is the accuracy, while the winner has the lowest loss.
    search = make_search({"0000": 0.96, "0001": 0.97})
    choice = smallest_within(search, 0.05, lambda record: 1000)
    assert choice.record.trial_id == choice.winner_id == "0000"
    assert choice.describe().startswith("no network is smaller")


def test_a_winner_that_was_stopped_early_may_stay(tmp_path):
    stored = simulate_search(tmp_path, trials=0)
    journal = Journal(stored.paths.journal, writable=True)
    write(journal, "0000", 24, 0.1, 0.97, "stopped")
    write(journal, "0001", 16, 0.5, 0.5)
    journal.close()
    choice = smallest_within(open_search(stored.paths), 0.01, count)
    assert choice.record.trial_id == choice.winner_id == "0000"
