import math

import numpy as np
import pytest
from scipy.stats import t

from handsigns.io.json_file import write_json
from handsigns.metrics import EpochMetrics
from handsigns.reporting.reevaluation import finals_frame, left_out, rows, verdict
from handsigns.results.journal import Journal
from handsigns.results.reevaluation import Run
from handsigns.results.store import open_search
from handsigns.results.trial import Placement, Session
from tests.support.records import make_spec


@pytest.fixture
def remeasure(make_search):
    """A scripted search whose trials, by place, were trained again with these losses."""
    stored = make_search(trials=12)

    def play(losses, folds=0, places=(0, 1), fingerprint=stored.data.info.fingerprint):
        paths = stored.paths.repeats
        paths.root.mkdir(exist_ok=True)
        trials = [stored.ranked[place].trial_id for place in places[: len(losses)]]
        seeds = math.ceil(len(losses[0]) / (folds or 1))
        write_json(paths.plan, {"trial_ids": trials, "seeds": seeds, "folds": folds})
        journal = Journal(paths.journal, writable=True)
        journal.open_session(Session(fingerprint, {}))
        for place, values in zip(places, losses, strict=False):
            record = stored.ranked[place]
            for number, loss in enumerate(values):
                fold, seed = (number % folds, number // folds) if folds else (0, number)
                name = Run(seed, fold, folds).trial_id(record.trial_id)
                journal.start(make_spec(name, record.params, seed=5))
                if loss is None:
                    journal.end(name, "diverged", "not finite")
                    continue
                metrics = EpochMetrics(1, 0.1, 0.9, loss, 1 - loss, 1 - loss, 1e-3, 1.0)
                journal.report(name, metrics, Placement("laptop/1", "cpu", 1))
                journal.end(name, "completed")
        journal.close()
        return open_search(stored.paths)

    return play


def test_the_better_mean_wins_whatever_the_leaderboard_says(remeasure):
    search = remeasure([[0.10, 0.20, 0.30], [0.05, 0.16, 0.24]])
    first, second = search.ranked[:2]
    assert search.winner == second
    frame = finals_frame(search)
    assert list(frame["trial_id"]) == [second.trial_id, first.trial_id]
    low, high = t.interval(0.95, 2, 0.15, np.std([0.05, 0.16, 0.24], ddof=1) / math.sqrt(3))
    assert frame.loc[0, "val_loss_high"] == pytest.approx(high)
    assert frame.loc[0, "val_accuracy_low"] == pytest.approx(1 - high)
    assert low < 0, "which no loss can be"
    assert frame.loc[0, "val_loss_low"] == 0.0
    assert frame.loc[0, "val_accuracy_high"] == 1.0
    # Differences -0.05, -0.04, -0.06: small, but steady.
    assert f"It is better than the second, trial {first.trial_id}: val_loss differs by -0.0500" in (
        verdict(search)
    )
    assert len(rows(search)) == 2
    assert left_out(search) == ""


def test_what_cannot_be_told_apart_is_said(remeasure):
    search = remeasure([[0.10, 0.20], [0.11, 0.18]])
    assert "cannot be told from the second" in verdict(search)
    assert "0.1450" in verdict(search)


def test_one_run_has_no_interval(remeasure):
    search = remeasure([[0.10], [0.11]])
    assert "With one run each it cannot be told" in verdict(search)
    assert math.isnan(finals_frame(search).loc[0, "val_loss_low"])


def test_runs_that_came_out_alike_say_nothing_of_their_spread(remeasure):
    search = remeasure([[0.10, 0.10], [0.11, 0.11]])
    assert "cannot be told from the second" in verdict(search)
    assert "in every run" in verdict(search)
    assert rows(search)[0][4] == "–"


def test_what_was_measured_on_other_pictures_chooses_no_winner(remeasure):
    search = remeasure([[0.9], [0.1]], fingerprint="other")
    assert search.finalists == []
    assert search.winner == search.ranked[0]
    assert verdict(search) == ""


def test_folds_make_intervals_wider(remeasure):
    search = remeasure([[0.10, 0.20, 0.30, 0.20], [0.3, 0.3, 0.3, 0.3]], folds=2)
    spread = np.std([0.1, 0.2, 0.3, 0.2], ddof=1) * math.sqrt(1 / 4 + 1)
    assert finals_frame(search).loc[0, "val_loss_high"] == pytest.approx(
        0.2 + t.ppf(0.975, 3) * spread
    )
    assert "2 fresh seeds on 2 folds" in verdict(search)


def test_what_the_time_did_not_allow_is_not_claimed(remeasure):
    search = remeasure([[0.10, 0.20], [0.3, 0.3]], folds=4)
    assert "a fresh seed on 2 of 4 folds" in verdict(search)


def test_a_run_without_a_result(remeasure):
    search = remeasure([[0.10, None], [0.5, 0.6]])
    assert search.winner == search.ranked[1]
    assert rows(search)[1][3] == "a run has no result"
    assert verdict(search).endswith(".")


def test_the_leaderboards_first_must_not_be_forgotten(remeasure):
    search = remeasure([[0.10], [0.2]], places=(1, 2))
    assert f"Trial {search.ranked[0].trial_id}, the first" in left_out(search)
    assert search.winner == search.ranked[1]
