"""Progress lines of a retraining."""

import io

import pytest
from rich.console import Console

from handsigns.metrics import EpochMetrics
from handsigns.monitor.retraining import RetrainingDisplay
from handsigns.policy.stopping import StoppingCriteria
from handsigns.results.journal import Journal
from handsigns.results.retraining import RetrainingPlan
from handsigns.results.trial import Placement, Session

HERE = Placement("laptop/1", "cpu", 1)
NAN = float("nan")


@pytest.fixture
def plan(make_record):
    return RetrainingPlan(make_record("0007"), search_seed=1, seeds=3, max_epochs=4)


@pytest.fixture
def journal(tmp_path, plan):
    """Journal of an earlier session: one run had finished, another one had begun."""
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_session(Session("f1ng", {}))
    for spec, epochs in zip(plan.specs, (4, 1), strict=False):
        journal.start_trial(spec)
        for epoch in range(1, epochs + 1):
            report(journal, spec.trial_id, epoch)
    journal.end_trial(plan.run_ids[0], "completed")
    yield journal
    journal.close()


def report(journal, run_id, epoch):
    metrics = EpochMetrics(epoch, 0.7, 0.6, NAN, NAN, 0.0, 1e-3, 1.0)
    journal.report_epoch(run_id, metrics, HERE)


@pytest.fixture
def display(journal, plan, make_search_config):
    now = [0.0]
    stopping = StoppingCriteria(make_search_config(), elapsed=5.0, clock=lambda: now[0])
    out = io.StringIO()
    display = RetrainingDisplay(out, make_search_config(), journal, stopping, plan)
    now[0] = 10.0
    return display, out


def test_lines_show_the_epochs_of_all_seeds(display, journal, plan):
    display, out = display
    time = "10s elapsed in this session, 15s in total, about"
    assert display.progress_line == f"1/3 seeds finished, 5/12 epochs, {time} 7s remaining"
    report(journal, plan.run_ids[1], 2)
    display.on_epoch(journal[plan.run_ids[1]])
    assert display.progress_line == f"1/3 seeds finished, 6/12 epochs, {time} 6s remaining"
    display.on_trial_start(journal.start_trial(plan.specs[2]))
    assert display.progress_line == f"1/3 seeds finished, 6/12 epochs, {time} 3s remaining"
    display.on_trial_end(journal.end_trial(plan.run_ids[1], "diverged"))
    assert out.getvalue().startswith(
        "seed 2 of 3 diverged after 2 epochs; 2/3 seeds finished, 8/12"
    )
    assert "nan" not in out.getvalue()


def test_the_live_block_has_no_validation_scores(display):
    display, _ = display
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(display.render())
    shown = console.file.getvalue()
    assert f"{'━' * 12}{'─' * 18} 5/12 epochs" in shown
    assert "3 seeds: 1 running, 1 finished" in shown
    assert "val" not in shown


def test_refreshes_of_the_live_block_do_not_read_the_journal(display, monkeypatch):
    display, _ = display
    monkeypatch.delattr(Journal, "records")  # whose reading in another thread is not safe
    assert display.render()


def test_a_plan_knows_which_of_its_runs_are_trained(journal, plan, tmp_path):
    records = journal.records
    assert [run.trial_id for run in plan.select(records)] == plan.run_ids[:2]
    assert [plan.is_trained(run) for run in plan.select(records)] == [True, False]
    assert not plan.finished(records)
    reread = Journal(tmp_path / "journal.jsonl").records
    assert [len(run.epochs) for run in reread] == [4, 1]
