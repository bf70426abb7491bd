"""Statistics and timeline of a small search, checked by hand."""

import dataclasses

import pytest

from handsigns.config.validate import validate_search_config
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.savings import early_stopping_savings
from handsigns.results.statistics import (
    RungStats,
    ValidationScore,
    baseline,
    num_val_images,
    optimization_history,
    rung_stats,
    rungs,
    runner_up,
    validation_score,
    within_noise,
)
from handsigns.results.store import DataRecord, StoredSearch
from handsigns.results.timeline import read_timeline
from handsigns.results.trial import Placement, Session, Verdict
from handsigns.stats.intervals import wilson_interval
from tests.support.records import make_spec


@pytest.fixture
def search(tmp_path):
    """Return a search with two slots, max_epochs 4, a rung at epoch 2 and 10 validation images.

    Slot 1: trial 0000 from 0 to 8 s (completed, 0.5), then 0003 from 8 s on (running, 0.9).
    Slot 2: 0001 from 0 to 4 s (stopped at the rung, 0.8), 0002 from 5 to 9 s (0.4, diverged later);
    then, after the session was killed and one second without training, 0004 from 11 to 13 s.
    """
    config, _ = validate_search_config(
        {
            "space": {"learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1}},
            "budget": {"max_epochs": 4},
            "scheduler": {"name": "asha", "grace_period": 2, "reduction_factor": 2},
        }
    )
    paths = SearchPaths(tmp_path / "mine")
    paths.root.mkdir()
    journal = Journal(paths.journal, writable=True)
    now = 0.0
    journal.clock = lambda: now
    journal.start_session(Session("f00d", {}))
    params = iter([config.baseline_params(), *({"learning_rate": k / 1000} for k in range(1, 9))])

    def start(trial_id):
        journal.start_trial(make_spec(trial_id, next(params)))

    def epoch(number, trial_id, at, loss, node, rung=None):
        nonlocal now
        now = at
        verdict = rung and Verdict(2, loss, None, 0, rung)
        metrics = EpochMetrics(number, 1.0, 0.5, loss, 1 - loss, 1 - loss, 1e-3, 2.0)
        journal.report_epoch(trial_id, metrics, Placement(f"laptop/{node}", "cpu", 1), verdict)

    start("0000")
    start("0001")
    epoch(1, "0000", 2, 0.9, 1)
    epoch(1, "0001", 2, 0.9, 2)
    epoch(2, "0000", 4, 0.7, 1, "continue")
    epoch(2, "0001", 4, 0.8, 2, "stop")
    journal.end_trial("0001", "stopped")
    start("0002")
    epoch(3, "0000", 6, 0.6, 1)
    epoch(1, "0002", 7, 0.4, 2)
    epoch(4, "0000", 8, 0.5, 1)
    journal.end_trial("0000", "completed")
    start("0003")
    now = 9
    journal.end_trial("0002", "diverged", "not finite")
    start("0004")
    epoch(1, "0003", 10, 0.9, 1)
    journal.start_session(Session("f00d", {}))
    now = 11
    journal.resume_trial("0004")
    epoch(1, "0004", 13, 0.45, 3)
    journal.close()
    info = DataInfo("synthetic hands", "f00d", ("a", "b"), 64, {"train": (9, 9), "val": (5, 5)})
    return StoredSearch(paths, config, DataRecord(info, None, 64, False), journal)


def test_optimization_history_is_ordered_by_end_of_training(search):
    points = optimization_history(search, read_timeline(search.paths.journal).last_trained)
    assert [(p.trial_id, p.number, p.seconds, p.value, p.best) for p in points] == [
        ("0001", 1, 4.0, 0.8, 0.8),
        ("0000", 2, 8.0, 0.5, 0.5),
        ("0003", 3, 10.0, 0.9, 0.5),
        ("0004", 4, 13.0, 0.45, 0.45),
    ]


def test_rung_stats_count_reached_and_stopped_trials(search):
    assert rung_stats(search) == [RungStats(1, 5, 0), RungStats(2, 2, 1), RungStats(4, 1, 0)]


def test_a_fractional_rung_is_at_the_epoch_that_reaches_it(tmp_path, make_search_config):
    config = make_search_config(
        budget={"max_epochs": 9},
        scheduler={"name": "asha", "grace_period": 3, "reduction_factor": 1.5},
    )
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    journal.start_trial(make_spec("0000"))
    for epoch in range(1, 6):
        verdict = {3: Verdict(3, 0.5, None, 0, "continue"), 5: Verdict(4.5, 0.5, 0.4, 1, "stop")}
        metrics = EpochMetrics(epoch, 1.0, 0.5, 0.5, 0.5, 0.5, 1e-3, 2.0)
        placement = Placement("laptop/1", "cpu", 1)
        journal.report_epoch("0000", metrics, placement, verdict.get(epoch))
    journal.close()
    assert rungs(config, journal) == [3, 5]


def test_savings_exclude_failed_and_unfinished_trials(search):
    savings = early_stopping_savings(search.journal.records, 4)
    assert (savings.trained_epochs, savings.saved_epochs, savings.fraction) == (9, 2, 2 / 8)


def test_winner_baseline_and_runner_up_scores(search):
    winner, recipe = search.trial(None), baseline(search)
    assert (winner.trial_id, recipe.trial_id, runner_up(search).trial_id) == (
        "0004",
        "0000",
        "0000",
    )
    score = validation_score(search, winner)
    assert score.interval == wilson_interval(6, 10)  # 0.55 of 10 images, rounded
    assert within_noise(score, validation_score(search, recipe))
    assert validation_score(search, search.trial("0002")) is None


def test_scores_on_images_that_have_changed_have_no_interval(search):
    info = dataclasses.replace(search.data.info, fingerprint="0ther")
    changed = dataclasses.replace(search, data=dataclasses.replace(search.data, info=info))
    assert num_val_images(changed) == num_val_images(search, search.trial(None)) == 10
    assert num_val_images(changed, search.trial(None)) == 0
    assert validation_score(changed, search.trial(None)).interval is None


@pytest.mark.parametrize(("score", "expected"), [(0.7, False), (0.8, True), (0.95, False)])
def test_noise_ends_at_both_bounds_of_the_interval(score, expected):
    winner = ValidationScore(0.8, wilson_interval(160, 200), 0.5, 4)
    assert within_noise(winner, ValidationScore(score, None, 0.6, 4)) is expected


def test_slots_hold_segments_without_overlap(search):
    timeline = read_timeline(search.paths.journal)
    slots = {
        name: [(s.trial_id, s.start, s.end, s.epochs) for s in segments]
        for name, segments in timeline.slots.items()
    }
    assert slots == {
        "laptop · 1": [("0000", 0.0, 8.0, 4), ("0003", 8.0, 10.0, 1), ("0004", 11.0, 13.0, 1)],
        "laptop · 2": [("0001", 0.0, 4.0, 2), ("0002", 5.0, 9.0, 1)],
    }
    assert timeline.elapsed == 13.0
    # The second session, of three seconds, used one slot.
    assert timeline.utilisation == pytest.approx(9 * 2.0 / (2 * 10.0 + 3.0))


def test_empty_journal_has_an_empty_timeline(tmp_path):
    timeline = read_timeline(tmp_path / "journal.jsonl")
    assert (timeline.slots, timeline.elapsed, timeline.utilisation) == ({}, 0.0, 0.0)


@pytest.fixture
def promoted(tmp_path):
    """Return a search on one worker: 0000 pauses at 2 s, 0001 at 4 s and is promoted until 8 s."""
    config, _ = validate_search_config(
        {
            "space": {"learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-1}},
            "budget": {"max_epochs": 3},
            "scheduler": {"name": "asha_promotion", "grace_period": 1, "reduction_factor": 2},
        }
    )
    paths = SearchPaths(tmp_path / "promoted")
    paths.root.mkdir()
    journal = Journal(paths.journal, writable=True)
    now = 0.0
    journal.clock = lambda: now
    journal.start_session(Session("f00d", {}))
    for trial_id, epoch, at in (("0000", 1, 2), ("0001", 1, 4), ("0001", 2, 6), ("0001", 3, 8)):
        if epoch == 1:
            journal.start_trial(make_spec(trial_id))
        elif epoch == 2:
            journal.resume_trial(trial_id)
        now = at
        verdict = Verdict(1, 0.5, None, 0, "pause") if epoch == 1 else None
        metrics = EpochMetrics(epoch, 1.0, 0.5, 0.5, 0.5, 0.5, 1e-3, 2.0)
        journal.report_epoch(trial_id, metrics, Placement("laptop/1", "cpu", 1), verdict)
    journal.end_trial("0001", "completed")
    now = 9
    journal.end_trial("0000", "stopped")
    journal.end_session("done", interrupted=False)
    journal.close()
    info = DataInfo("synthetic hands", "f00d", ("a", "b"), 64, {"train": (9, 9), "val": (5, 5)})
    return StoredSearch(paths, config, DataRecord(info, None, 64, False), journal)


def test_a_paused_trial_occupies_no_worker(promoted):
    timeline = read_timeline(promoted.paths.journal)
    (segments,) = timeline.slots.values()
    assert [(s.trial_id, s.start, s.end, s.epochs) for s in segments] == [
        ("0000", 0.0, 2.0, 1), ("0001", 2.0, 4.0, 1), ("0001", 4.0, 8.0, 2)
    ]  # fmt: skip
    assert timeline.utilisation == pytest.approx(8 / 9)
    assert timeline.last_trained == {"0000": 2.0, "0001": 8.0}


def test_trials_that_paused_for_good_are_stopped_at_their_rung(promoted):
    assert rung_stats(promoted) == [RungStats(1, 2, 1), RungStats(3, 1, 0)]


def test_resuming_on_another_machine_keeps_the_utilisation(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", writable=True)
    now = 0.0
    journal.clock = lambda: now
    for number, host in enumerate(("laptop", "desktop")):
        journal.start_session(Session("f00d", {}))
        journal.start_trial(make_spec(f"000{number}"))
        now += 10.0
        metrics = EpochMetrics(1, 1.0, 0.5, 0.5, 0.5, 0.5, 1e-3, 10.0)
        journal.report_epoch(f"000{number}", metrics, Placement(f"{host}/1", "cpu", 1))
        journal.end_trial(f"000{number}", "completed")
    journal.close()
    assert read_timeline(tmp_path / "journal.jsonl").utilisation == 1.0
