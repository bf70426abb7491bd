import math

import numpy as np
import pytest
from scipy.stats import t

from handsigns.io.json_file import write_json
from handsigns.metrics import EpochMetrics
from handsigns.reporting.reevaluation import (
    missing_best_warning,
    reevaluation_frame,
    table_rows,
    verdict,
)
from handsigns.reporting.summary import cards
from handsigns.reporting.winner import read_winner_summary
from handsigns.results.journal import Journal
from handsigns.results.reevaluation import ReevaluationRun
from handsigns.results.store import open_search
from handsigns.results.timeline import read_timeline
from handsigns.results.trial import Placement, Session
from tests.support.records import make_spec


@pytest.fixture
def reevaluate(make_search):
    """Script a search whose trials, by rank index, were re-evaluated with the given losses."""
    stored = make_search(trials=12)

    def write_runs(losses, folds=0, ranks=(0, 1), fingerprint=stored.data.info.fingerprint):
        paths = stored.paths.reevaluation
        paths.root.mkdir(exist_ok=True)
        trials = [stored.ranked[rank].trial_id for rank in ranks[: len(losses)]]
        seeds = math.ceil(len(losses[0]) / (folds or 1))
        write_json(paths.plan, {"trial_ids": trials, "seeds": seeds, "folds": folds})
        journal = Journal(paths.journal, writable=True)
        journal.start_session(Session(fingerprint, {}))
        for rank, values in zip(ranks, losses, strict=False):
            record = stored.ranked[rank]
            for number, loss in enumerate(values):
                fold, seed = (number % folds, number // folds) if folds else (0, number)
                name = ReevaluationRun(seed, fold, folds).trial_id(record.trial_id)
                journal.start_trial(make_spec(name, record.params, seed=5))
                if loss is None:
                    journal.end_trial(name, "diverged", "not finite")
                    continue
                metrics = EpochMetrics(1, 0.1, 0.9, loss, 1 - loss, 1 - loss, 1e-3, 1.0)
                journal.report_epoch(name, metrics, Placement("laptop/1", "cpu", 1))
                journal.end_trial(name, "completed")
        journal.close()
        return open_search(stored.paths)

    return write_runs


def test_the_best_mean_wins_regardless_of_the_leaderboard(reevaluate):
    search = reevaluate([[0.10, 0.20, 0.30], [0.05, 0.16, 0.24]])
    first, second = search.ranked[:2]
    assert search.winner == second
    frame = reevaluation_frame(search)
    assert list(frame["trial_id"]) == [second.trial_id, first.trial_id]
    low, high = t.interval(0.95, 2, 0.15, np.std([0.05, 0.16, 0.24], ddof=1) / math.sqrt(3))
    assert frame.loc[0, "val_loss_high"] == pytest.approx(high)
    assert frame.loc[0, "val_accuracy_low"] == pytest.approx(1 - high)
    assert low < 0, "below the lower bound of a loss"
    assert frame.loc[0, "val_loss_low"] == 0.0
    assert frame.loc[0, "val_accuracy_high"] == 1.0
    # Differences -0.05, -0.04, -0.06: small, but consistent.
    better = f"significantly better than the runner-up, trial {first.trial_id}: val_loss differs by"
    assert f"{better} -0.0500" in verdict(search)
    assert len(table_rows(search)) == 2
    assert missing_best_warning(search) == ""


def test_the_score_of_the_search_is_said_to_have_selected(reevaluate):
    search = reevaluate([[0.10, 0.20], [0.3, 0.3]])
    timeline = read_timeline(search.paths.journal)
    card = cards(search, read_winner_summary(search.paths), timeline)[0]
    assert card.note.endswith("% in the search, by whose results it was selected")


def test_an_insignificant_difference_is_reported(reevaluate):
    search = reevaluate([[0.10, 0.20], [0.11, 0.18]])
    assert "indistinguishable from the runner-up" in verdict(search)
    assert "0.1450" in verdict(search)


def test_a_single_run_has_no_interval(reevaluate):
    search = reevaluate([[0.10], [0.11]])
    assert verdict(search).endswith("with one run each.")
    assert "indistinguishable" in verdict(search)
    assert math.isnan(reevaluation_frame(search).loc[0, "val_loss_low"])


def test_equal_differences_have_no_interval(reevaluate):
    search = reevaluate([[0.10, 0.10], [0.11, 0.11]])
    assert "indistinguishable" not in verdict(search)
    assert verdict(search).endswith(
        "differs by -0.0100 in every run, so that no interval can be stated."
    )
    assert table_rows(search)[0][4] == "–"


@pytest.mark.parametrize("losses", [[0.1, 0.2], [0.0, 0.0]])
def test_identical_runs_are_indistinguishable(reevaluate, losses):
    text = verdict(reevaluate([losses, losses]))
    assert "indistinguishable from the runner-up" in text
    assert text.endswith("val_loss is the same in every run.")


def test_tiny_losses_are_compared_on_their_own_scale(reevaluate):
    text = verdict(reevaluate([[1e-7, 2e-7, 3e-7], [2e-7, 4e-7, 8e-7]]))
    assert text.endswith(
        "val_loss differs by -2.7e-07, 95 % confidence interval -7.8e-07 to +2.5e-07."
    )
    text = verdict(reevaluate([[1e-7, 2e-7, 3e-7], [5e-7, 7e-7, 8e-7]]))
    assert "significantly better" in text


def test_reevaluation_on_different_images_is_ignored(reevaluate):
    search = reevaluate([[0.9], [0.1]], fingerprint="other")
    assert search.reevaluated_trials == []
    assert search.winner == search.ranked[0]
    assert verdict(search) == ""


def test_folds_widen_the_intervals(reevaluate):
    search = reevaluate([[0.10, 0.20, 0.30, 0.20], [0.3, 0.3, 0.3, 0.3]], folds=2)
    spread = np.std([0.1, 0.2, 0.3, 0.2], ddof=1) * math.sqrt(1 / 4 + 1)
    assert reevaluation_frame(search).loc[0, "val_loss_high"] == pytest.approx(
        0.2 + t.ppf(0.975, 3) * spread
    )
    assert "2 fresh seeds on 2 folds" in verdict(search)


def test_only_finished_folds_are_reported(reevaluate):
    search = reevaluate([[0.10, 0.20], [0.3, 0.3]], folds=4)
    assert "a fresh seed on 2 of 4 folds" in verdict(search)


def test_a_trial_with_a_diverged_run_ranks_last(reevaluate):
    search = reevaluate([[0.10, None], [0.5, 0.6]])
    assert search.winner == search.ranked[1]
    assert table_rows(search)[1][3] == "a run has no result"
    assert verdict(search).endswith(".")


def test_missing_reevaluation_of_the_best_trial_gives_a_warning(reevaluate):
    search = reevaluate([[0.10], [0.2]], ranks=(1, 2))
    assert f"Trial {search.ranked[0].trial_id}, the best" in missing_best_warning(search)
    assert search.winner == search.ranked[1]
