"""The runs of a re-evaluation as a source of trials."""

import dataclasses

from handsigns.policy.reevaluation import PlannedRuns
from handsigns.results.reevaluation import RepeatPlan, Run


def test_what_was_started_is_not_started_again(make_record):
    earlier = make_record("0003", [0.5], params={"dropout": 0.1})
    earlier = dataclasses.replace(
        earlier, config=earlier.config.model_copy(update={"weight_average": 0.0})
    )
    runs = PlannedRuns(RepeatPlan(("0003",), 3, 0), {"0003-seed1"}, {"0003": earlier}, 1)
    assert runs.remaining == 2
    first = runs.suggest()
    assert (first.trial_id, first.params) == ("0003-seed0", {"dropout": 0.1})
    assert first.config == earlier.config, "as it was, whatever the defaults are now"
    assert first.seed == Run(0).training_seed(1)
    assert runs.suggest().trial_id == "0003-seed2"
    assert runs.suggest() is None
    assert runs.remaining == 0


def test_only_runs_of_the_plan_are_resumed(make_record):
    runs = PlannedRuns(RepeatPlan(("0003",), 2, 0), (), {"0003": make_record("0003")}, 1)
    assert [runs.owns(name) for name in ("0003-seed0", "0003-seed1", "0003-seed2")] == [
        True, True, False
    ]  # fmt: skip
