"""Status lines of a running search: time, best trial and counts."""

import io
from collections import Counter

import pytest

from handsigns.console.format import pluralize
from handsigns.monitor.live import SearchDisplay
from handsigns.monitor.status import SearchStatus
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.savings import EarlyStoppingSavings
from handsigns.results.trial import Placement, Session, Verdict
from tests.support.records import make_epoch_metrics, make_spec

PLACEMENT = Placement("laptop/1", "cpu", 1)


@pytest.fixture
def make_status(make_search_config):
    def make(trials=34, completed=26, **values):
        return SearchStatus(
            make_search_config(budget={"trials": trials}), num_trials=trials,
            status_counts=Counter(completed=completed), savings=EarlyStoppingSavings(1, 0, 1),
            best=None, **{"elapsed": 7.0, "remaining": None, **values},
        )  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("values", "time"),
    [
        (
            {"num_ended_before_session": 26, "elapsed_before": 80.0},
            "7s elapsed in this session, 1m27s in total",
        ),
        (
            {"num_ended_before_session": 24, "elapsed_before": 80.0},
            "7s elapsed in this session, 1m27s in total, about 28s remaining",
        ),
        ({"completed": 2}, "7s elapsed, about 1m52s remaining"),
        ({"completed": 34}, "7s elapsed"),
        ({"completed": 0, "remaining": 5.0}, "7s elapsed, about 5s remaining"),
        ({"completed": 0, "remaining": 0.2}, "7s elapsed"),
        ({"completed": 2, "running": False}, "7s elapsed"),
    ],
)
def test_remaining_time_is_extrapolated_from_this_session(make_status, values, time):
    assert make_status(**values).time_line == time


def test_counts_of_one_are_singular(make_status):
    assert [pluralize(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    assert pluralize(2, "class", "classes") == "2 classes"
    status = make_status(trials=1, completed=0)
    assert status.epochs_line.startswith("1 epoch trained")
    assert status.progress_line.startswith("0/1 trial finished, 1 running, ")


@pytest.mark.parametrize("metric", ["val_loss", "val_accuracy"])
def test_the_best_result_on_the_progress_line_never_worsens(make_search_config, tmp_path, metric):
    """Neither unfinished trials nor the other metric affect it."""
    direction = "minimize" if metric == "val_loss" else "maximize"
    config = make_search_config(objective={"metric": metric, "direction": direction})
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session("f00d", {}))
    display = SearchDisplay(io.StringIO(), config, journal, StoppingCriteria(config))
    bests = []
    for number, losses in enumerate([[0.9, 0.8], [0.1, 0.7], [0.2, 0.9], [0.5, 0.6]]):
        trial_id = f"{number:04d}"
        journal.start_trial(make_spec(trial_id, {"learning_rate": 0.01}))
        for epoch, loss in enumerate(losses, 1):
            journal.report_epoch(trial_id, make_epoch_metrics(epoch, loss), PLACEMENT)
            display.on_epoch(journal[trial_id])
            bests.append(display._status().best_terminal)
        display.on_trial_end(journal.end_trial(trial_id, "completed"))
        bests.append(display._status().best_terminal)
    objective = config.objective
    values = [objective.value_of(best.last_epoch) for best in bests if best is not None]
    losses = [objective.to_minimize(value) for value in values]
    assert losses == sorted(losses, reverse=True)
    assert f"best {metric} {objective.format(values[-1])}, " in display._status().progress_line
    journal.close()


def test_a_dumb_terminal_gets_lines(make_search_config, tmp_path, monkeypatch):
    """There rich's live block appears at the end only."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    config, output = make_search_config(), io.StringIO()
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session("f00d", {}))
    display = SearchDisplay(output, config, journal, StoppingCriteria(config))
    with display.live_view():
        journal.start_trial(make_spec("0000", {"learning_rate": 0.01}))
        journal.report_epoch("0000", make_epoch_metrics(1, 0.5), PLACEMENT)
        display.on_trial_end(journal.end_trial("0000", "completed"))
        assert "trial 0000" in output.getvalue()
    journal.close()


def test_a_diverged_trial_is_neither_the_best_nor_saves_epochs(make_search_config, tmp_path):
    config = make_search_config(objective={"metric": "val_accuracy"})
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session("f00d", {}))
    display = SearchDisplay(io.StringIO(), config, journal, StoppingCriteria(config))
    for trial_id, accuracy in (("0000", 0.5), ("0001", 0.9)):
        journal.start_trial(make_spec(trial_id))
        journal.report_epoch(trial_id, make_epoch_metrics(1, 1.0, accuracy), PLACEMENT)
        display.on_epoch(journal[trial_id])
    assert display._status().best_line.startswith("best: trial 0001, ")
    display.on_trial_end(journal.end_trial("0001", "diverged"))
    assert display._status().best_line.startswith("best: trial 0000, ")
    display.on_trial_end(journal.end_trial("0000", "diverged"))
    assert display._status().best_line == "no trial has a result yet"
    assert display._status().epochs_line == "2 epochs trained, 0 saved by early stopping"
    journal.close()


def test_a_promoted_trial_that_fails_is_no_longer_paused(make_search_config, tmp_path):
    config = make_search_config(scheduler={"name": "asha_promotion"})
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session("f00d", {}))
    display = SearchDisplay(io.StringIO(), config, journal, StoppingCriteria(config))
    journal.start_trial(make_spec("0000"))
    journal.report_epoch(
        "0000", make_epoch_metrics(1, 0.5), PLACEMENT, Verdict(1, 0.5, None, 0, "pause")
    )
    display.on_epoch(journal["0000"])
    display.on_trial_pause(journal["0000"])
    assert display._status().num_finished == 1
    journal.resume_trial("0000")
    display.on_trial_end(journal.end_trial("0000", "failed"))
    assert display._status().num_finished == 1
    assert display._status().status_counts == {"failed": 1, "paused": 0}
    journal.close()


def test_a_journal_knows_the_start_of_its_latest_session(make_search):
    stored = make_search(trials=6)
    journal = stored.journal
    assert (journal.session_start_elapsed, journal.num_ended_before_session) == (0.0, 0)
    assert not journal.interrupted
    elapsed, ended = journal.elapsed, sum(record.is_terminal for record in journal.records)
    resumed = Journal(stored.paths.journal, writable=True)
    resumed.start_session(Session("f00d", {}))
    resumed.end_session("it was interrupted", interrupted=True)
    resumed.close()
    journal.refresh()
    assert (journal.session_start_elapsed, journal.num_ended_before_session) == (elapsed, ended)
    assert journal.interrupted
