"""What is said of a search that runs: its time, its best, its counts."""

import io
from collections import Counter

import pytest

from handsigns.console.format import counted
from handsigns.monitor.live import Display
from handsigns.monitor.status import SearchStatus
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.trial import Placement, Session
from tests.support.records import epoch_of, make_spec

HERE = Placement("laptop/1", "cpu", 1)


@pytest.fixture
def status_of(make_study):
    def make(trials=34, done=26, **values):
        return SearchStatus(
            make_study(budget={"trials": trials}), trials=trials, ended=Counter(completed=done),
            epochs=1, ended_epochs=1, best=None,
            **{"elapsed": 7.0, "remaining": None, **values},
        )  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("values", "time"),
    [
        ({"ended_before": 26, "before": 80.0}, "7s elapsed in this session, 1m27s in all"),
        (
            {"ended_before": 24, "before": 80.0},
            "7s elapsed in this session, 1m27s in all, about 28s remaining",
        ),
        ({"done": 2}, "7s elapsed, about 1m52s remaining"),
        ({"done": 34}, "7s elapsed"),
        ({"done": 0, "remaining": 5.0}, "7s elapsed, about 5s remaining"),
        ({"done": 0, "remaining": 0.2}, "7s elapsed"),
        ({"done": 2, "running": False}, "7s elapsed"),
    ],
)
def test_the_estimate_counts_what_this_session_does(status_of, values, time):
    assert status_of(**values).time == time


def test_one_is_singular(status_of):
    assert [counted(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    assert counted(2, "class", "classes") == "2 classes"
    status = status_of(trials=1, done=0)
    assert status.savings.startswith("1 epoch trained")
    assert status.progress_line.startswith("0/1 trial ended, 1 running, ")


@pytest.mark.parametrize("metric", ["val_loss", "val_accuracy"])
def test_the_best_of_the_line_never_falls(make_study, tmp_path, metric):
    """Whatever running trials do, and however little the other metric agrees."""
    direction = "minimize" if metric == "val_loss" else "maximize"
    study = make_study(objective={"metric": metric, "direction": direction})
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.open_session(Session("f00d", {}))
    display = Display(io.StringIO(), study, journal, StoppingCriteria(study))
    bests = []
    for number, losses in enumerate([[0.9, 0.8], [0.1, 0.7], [0.2, 0.9], [0.5, 0.6]]):
        trial_id = f"{number:04d}"
        journal.start(make_spec(trial_id, {"learning_rate": 0.01}))
        for epoch, loss in enumerate(losses, 1):
            journal.report(trial_id, epoch_of(epoch, loss), HERE)
            display.on_epoch(journal[trial_id])
            bests.append(display._status().best_ended)
        display.on_trial_end(journal.end(trial_id, "completed"))
        bests.append(display._status().best_ended)
    values = [study.objective.signed(study.objective.of(b.last)) for b in bests if b is not None]
    assert values == sorted(values, reverse=True)
    line = display._status().progress_line
    assert f"best {metric} {study.objective.format(study.objective.of(bests[-1].last))}, " in line
    journal.close()


def test_a_journal_knows_where_its_latest_session_began(make_search):
    stored = make_search(trials=6)
    journal = stored.journal
    assert (journal.session_start, journal.ended_before, journal.interrupted) == (0.0, 0, False)
    elapsed, ended = journal.elapsed, sum(record.ended for record in journal.records)
    again = Journal(stored.paths.journal, writable=True)
    again.open_session(Session("f00d", {}))
    again.pause("it was interrupted", by_user=True)
    again.close()
    journal.follow()
    assert (journal.session_start, journal.ended_before) == (elapsed, ended)
    assert journal.interrupted
