"""Re-evaluation: plans, folds, and ranking by common runs."""

import dataclasses

import pytest

from handsigns.config.sections import Objective
from handsigns.data.folds import training_splits
from handsigns.data.splits import DataInfo
from handsigns.results.paths import SearchPaths
from handsigns.results.reevaluation import (
    ReevaluationPlan,
    ReevaluationRun,
    feasible_folds,
    read_plan,
    reevaluated_trials,
    write_plan,
)


def test_all_trials_get_the_same_fresh_seeds_and_folds(make_record):
    records = [make_record(f"{n:04d}") for n in range(2)]
    plan = ReevaluationPlan(("0000", "0001"), seeds=3, folds=2)
    assert len(plan.trial_runs) == len(plan.run_ids) == 12
    seeds = {}
    for trial_id, run in plan.trial_runs:
        seeds.setdefault(trial_id, set()).add(run.training_seed(7))
    assert seeds["0000"] == seeds["0001"]
    assert len(seeds["0000"]) == 6
    assert not seeds["0000"] & {record.seed for record in records}
    assert seeds["0000"].isdisjoint(run.training_seed(8) for run in plan.runs)
    first = [trial_id for trial_id, _ in plan.trial_runs[:4]]
    assert first == ["0000", "0001", "0000", "0001"], "ordered by run"


@pytest.mark.parametrize(
    ("smallest_class", "folds", "feasible"), [(30, 4, 4), (3, 4, 3), (3, 0, 0), (1, 4, 0)]
)
def test_folds_are_limited_by_the_smallest_class(smallest_class, folds, feasible):
    counts = {"train": (50, smallest_class - 1), "val": (9, 1), "test": (1, 1)}
    assert feasible_folds(folds, DataInfo("x", "f", ("a", "b"), 16, counts, ())) == feasible


def test_folds_of_a_seed_are_disjoint(make_split):
    train, val = make_split(40, seed=1), make_split(10, seed=2)
    assert ReevaluationRun(0).validation_fold(7) is None

    def validation_fold(seed, fold):
        _, held_out = training_splits(ReevaluationRun(seed, fold, 5).validation_fold(7), train, val)
        return {image.tobytes() for image in held_out.images}

    assert len(validation_fold(0, 0)) == 10
    assert validation_fold(0, 0).isdisjoint(validation_fold(0, 1))
    assert validation_fold(0, 0) != validation_fold(1, 0), "each seed has its own folds"


@pytest.fixture
def make_runs(make_record):
    """Return a factory of a trial's re-evaluation runs with the given final losses."""

    def make(trial_id, losses, status="completed"):
        return [
            make_record(ReevaluationRun(seed).trial_id(trial_id), [1.0, loss], status)
            for seed, loss in enumerate(losses)
        ]

    return make


def test_trials_are_ranked_by_mean_over_common_runs(make_record, make_runs):
    records = [make_record(f"{n:04d}") for n in range(3)]
    runs = make_runs("0002", [0.3, 0.3, 0.0]) + make_runs("0000", [0.4, 0.1])
    found = reevaluated_trials(ReevaluationPlan(("0000", "0002"), 3, 0), records, runs, Objective())
    assert [trial.record.trial_id for trial in found] == ["0000", "0002"]
    assert [len(trial.runs) for trial in found] == [2, 2], "only one trial has the third run"
    assert found[0].values("val_loss") == [0.4, 0.1]


def test_only_runs_of_the_latest_plan_count(make_record, make_runs):
    records = [make_record(f"{n:04d}") for n in range(3)]
    runs = make_runs("0000", [0.1, 0.5]) + make_runs("0001", [0.2, 0.2]) + make_runs("0002", [0.0])
    runs += [make_record(f"{trial}-seed0-fold{k}of2", [loss])
             for trial, loss in (("0000", 0.9), ("0001", 0.8)) for k in range(2)]  # fmt: skip

    def order(trials, seeds, folds):
        plan = ReevaluationPlan(trials, seeds, folds)
        found = reevaluated_trials(plan, records, runs, Objective())
        return [(trial.record.trial_id, len(trial.runs)) for trial in found]

    assert order(("0000", "0001"), 1, 0) == [("0000", 1), ("0001", 1)]
    assert order(("0000", "0001"), 2, 0) == [("0001", 2), ("0000", 2)]
    assert order(("0000", "0001", "0002"), 2, 0) == [("0002", 1), ("0000", 1), ("0001", 1)]
    assert order(("0000", "0001"), 1, 2) == [("0001", 2), ("0000", 2)], "only runs with folds"


def test_unfinished_plan_does_not_replace_a_larger_result(make_record, make_runs):
    records = [make_record(f"{n:04d}") for n in range(3)]
    runs = make_runs("0000", [0.1, 0.5]) + make_runs("0001", [0.2, 0.2])
    larger = ReevaluationPlan(
        ("0000", "0001", "0002"), 2, 0, previous=ReevaluationPlan(("0000", "0001"), 2, 0)
    )

    def compared():
        found = reevaluated_trials(larger, records, runs, Objective())
        return [(trial.record.trial_id, len(trial.runs)) for trial in found]

    assert compared() == [("0001", 2), ("0000", 2)]
    runs += make_runs("0002", [0.0])
    assert compared() == [("0001", 2), ("0000", 2)], (
        "three runs in the new plan, four in the previous one"
    )
    runs += make_runs("0002", [0.0, 0.1])[1:]
    assert [trial for trial, _ in compared()] == ["0002", "0001", "0000"]


def test_plan_keeps_the_previous_finished_plan(make_record, make_runs, tmp_path):
    paths = SearchPaths(tmp_path).reevaluation
    paths.root.mkdir()
    small, large, larger = (ReevaluationPlan(("0000",), seeds, 0) for seeds in (1, 2, 3))
    runs = make_runs("0000", [0.1])
    for plan, earlier in ((small, None), (large, small), (large, small), (larger, small)):
        write_plan(paths, plan, runs)
        assert read_plan(paths) == plan
        assert read_plan(paths).previous == earlier


def test_trial_with_a_diverged_run_ranks_last(make_record, make_runs):
    records = [make_record("0000"), make_record("0001")]
    plan = ReevaluationPlan(("0000", "0001"), 2, 0)
    runs = make_runs("0000", [0.1]) + make_runs("0001", [0.9])
    assert reevaluated_trials(plan, records, runs, Objective())[0].record.trial_id == "0000"
    runs += make_runs("0001", [0.9, 0.9])[1:]
    runs.append(dataclasses.replace(make_record("0000-seed1", []), status="diverged"))
    found = reevaluated_trials(plan, records, runs, Objective())
    assert [trial.record.trial_id for trial in found] == ["0001", "0000"]
    assert not found[1].all_completed


def test_trials_without_common_runs_are_not_ranked(make_record, make_runs):
    records = [make_record("0000"), make_record("0001")]
    plan = ReevaluationPlan(("0000", "0001"), 2, 0)
    runs = make_runs("0000", [0.1]) + make_runs("0001", [0.2], status="interrupted")
    assert reevaluated_trials(plan, records, runs, Objective()) == []
    assert reevaluated_trials(plan, records, [], Objective()) == []
