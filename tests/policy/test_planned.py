"""Tests of the source of planned runs."""

import dataclasses

from handsigns.policy.planned import PlannedSource
from handsigns.results.reevaluation import ReevaluationPlan, ReevaluationRun


def test_started_runs_are_not_suggested_again(make_record):
    record = make_record("0003", [0.5], params={"dropout": 0.1})
    record = dataclasses.replace(
        record, config=record.config.model_copy(update={"ema_epochs": 0.0})
    )
    specs = ReevaluationPlan(("0003",), 3, 0).specs({"0003": record}, 1)
    source = PlannedSource(specs, {"0003-seed1"})
    assert source.remaining == 2
    first = source.suggest()
    assert (first.trial_id, first.params) == ("0003-seed0", {"dropout": 0.1})
    assert first.config == record.config, "independent of the current defaults"
    assert first.seed == ReevaluationRun(0).training_seed(1)
    assert source.suggest().trial_id == "0003-seed2"
    assert source.suggest() is None
    assert source.remaining == 0


def test_only_runs_of_the_plan_are_resumed(make_record):
    specs = ReevaluationPlan(("0003",), 2, 0).specs({"0003": make_record("0003")}, 1)
    source = PlannedSource(specs, ())
    run_ids = [f"0003-seed{seed}" for seed in range(3)]
    assert [source.should_resume(run_id) for run_id in run_ids] == [True, True, False]
