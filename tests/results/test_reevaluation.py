import dataclasses

import pytest

from handsigns.config.search import Objective
from handsigns.data.folds import training_splits
from handsigns.data.splits import DataInfo
from handsigns.results.paths import SearchPaths
from handsigns.results.reevaluation import (
    RepeatPlan,
    Run,
    finalists,
    fitting_folds,
    read_plan,
    write_plan,
)


def test_all_configurations_get_the_same_fresh_seeds_and_folds(make_record):
    records = [make_record(f"{n:04d}") for n in range(2)]
    plan = RepeatPlan(("0000", "0001"), seeds=3, folds=2)
    assert len(plan.repeats) == len(plan.names) == 12
    seeds = {}
    for trial_id, run in plan.repeats:
        seeds.setdefault(trial_id, set()).add(run.training_seed(7))
    assert seeds["0000"] == seeds["0001"]
    assert len(seeds["0000"]) == 6
    assert not seeds["0000"] & {record.seed for record in records}
    assert seeds["0000"].isdisjoint(run.training_seed(8) for run in plan.runs)
    first = [trial_id for trial_id, _ in plan.repeats[:4]]
    assert first == ["0000", "0001", "0000", "0001"], "run by run"


@pytest.mark.parametrize(
    ("rarest", "folds", "fitting"), [(30, 4, 4), (3, 4, 3), (3, 0, 0), (1, 4, 0)]
)
def test_each_fold_can_have_a_picture_of_each_class(rarest, folds, fitting):
    counts = {"train": (50, rarest - 1), "val": (9, 1), "test": (1, 1)}
    assert fitting_folds(folds, DataInfo("x", "f", ("a", "b"), 16, counts, ())) == fitting


def test_folds_of_a_seed_share_nothing(make_split):
    train, val = make_split(40, seed=1), make_split(10, seed=2)
    assert Run(0).held_out(7) is None

    def held_out(seed, fold):
        _, out = training_splits(Run(seed, fold, 5).held_out(7), train, val)
        return {image.tobytes() for image in out.images}

    assert len(held_out(0, 0)) == 10
    assert held_out(0, 0).isdisjoint(held_out(0, 1))
    assert held_out(0, 0) != held_out(1, 0), "another seed cuts anew"


@pytest.fixture
def measure(make_record):
    """Repeats of a trial with these losses at their end."""

    def make(trial_id, losses, status="completed"):
        return [
            make_record(Run(seed).trial_id(trial_id), [1.0, loss], status)
            for seed, loss in enumerate(losses)
        ]

    return make


def test_they_are_ranked_by_the_mean_of_what_all_have(make_record, measure):
    records = [make_record(f"{n:04d}") for n in range(3)]
    runs = measure("0002", [0.3, 0.3, 0.0]) + measure("0000", [0.4, 0.1])
    found = finalists(RepeatPlan(("0000", "0002"), 3, 0), records, runs, Objective())
    assert [finalist.record.trial_id for finalist in found] == ["0000", "0002"]
    assert [len(finalist.runs) for finalist in found] == [2, 2], "the third run only one has"
    assert found[0].values("val_loss") == [0.4, 0.1]


def test_only_what_was_asked_for_last_counts(make_record, measure):
    records = [make_record(f"{n:04d}") for n in range(3)]
    runs = measure("0000", [0.1, 0.5]) + measure("0001", [0.2, 0.2]) + measure("0002", [0.0])
    runs += [make_record(f"{trial}-seed0-fold{k}of2", [loss])
             for trial, loss in (("0000", 0.9), ("0001", 0.8)) for k in range(2)]  # fmt: skip

    def order(trials, seeds, folds):
        plan = RepeatPlan(trials, seeds, folds)
        found = finalists(plan, records, runs, Objective())
        return [(one.record.trial_id, len(one.runs)) for one in found]

    assert order(("0000", "0001"), 1, 0) == [("0000", 1), ("0001", 1)]
    assert order(("0000", "0001"), 2, 0) == [("0001", 2), ("0000", 2)]
    assert order(("0000", "0001", "0002"), 2, 0) == [("0002", 1), ("0000", 1), ("0001", 1)]
    assert order(("0000", "0001"), 1, 2) == [("0001", 2), ("0000", 2)], "folds alone"


def test_an_unfinished_plan_replaces_no_larger_result(make_record, measure):
    records = [make_record(f"{n:04d}") for n in range(3)]
    runs = measure("0000", [0.1, 0.5]) + measure("0001", [0.2, 0.2])
    larger = RepeatPlan(("0000", "0001", "0002"), 2, 0, earlier=RepeatPlan(("0000", "0001"), 2, 0))

    def compared():
        found = finalists(larger, records, runs, Objective())
        return [(one.record.trial_id, len(one.runs)) for one in found]

    assert compared() == [("0001", 2), ("0000", 2)]
    runs += measure("0002", [0.0])
    assert compared() == [("0001", 2), ("0000", 2)], "three runs of the new plan, four before"
    runs += measure("0002", [0.0, 0.1])[1:]
    assert [trial for trial, _ in compared()] == ["0002", "0001", "0000"]


def test_a_plan_keeps_the_finished_one_before_it(make_record, measure, tmp_path):
    paths = SearchPaths(tmp_path).repeats
    paths.root.mkdir()
    small, large, larger = (RepeatPlan(("0000",), seeds, 0) for seeds in (1, 2, 3))
    runs = measure("0000", [0.1])
    for plan, earlier in ((small, None), (large, small), (large, small), (larger, small)):
        write_plan(paths, plan, runs)
        assert read_plan(paths) == plan
        assert read_plan(paths).earlier == earlier


def test_a_run_that_diverged_puts_a_configuration_last(make_record, measure):
    records = [make_record("0000"), make_record("0001")]
    plan = RepeatPlan(("0000", "0001"), 2, 0)
    runs = measure("0000", [0.1]) + measure("0001", [0.9])
    assert finalists(plan, records, runs, Objective())[0].record.trial_id == "0000"
    runs += measure("0001", [0.9, 0.9])[1:]
    runs.append(dataclasses.replace(make_record("0000-seed1", []), status="diverged"))
    found = finalists(plan, records, runs, Objective())
    assert [finalist.record.trial_id for finalist in found] == ["0001", "0000"]
    assert not found[1].steady


def test_no_one_wins_who_was_not_compared(make_record, measure):
    records = [make_record("0000"), make_record("0001")]
    plan = RepeatPlan(("0000", "0001"), 2, 0)
    runs = measure("0000", [0.1]) + measure("0001", [0.2], status="interrupted")
    assert finalists(plan, records, runs, Objective()) == []
    assert finalists(plan, records, [], Objective()) == []
