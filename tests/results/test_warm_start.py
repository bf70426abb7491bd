"""What is said of a warm start is what the sampler does."""

import pytest

from handsigns.policy.sampler import Sampler
from handsigns.results.warm_start import make_warm_start


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize(
    ("trials", "recipe", "none"),
    [
        (1, "none of the best 3 configurations of first, as there is only 1 trial",
         "1 of the best 3 configurations of first, as there is only 1 trial"),
        (2, "1 of the best 3 configurations of first, as there are only 2 trials",
         "2 of the best 3 configurations of first, as there are only 2 trials"),
        (9, "the best 3 configurations of first", "the best 3 configurations of first"),
    ],
)  # fmt: skip
def test_what_is_said_is_tried(make_study, make_record, baseline, trials, recipe, none):
    study = make_study(baseline=baseline, budget={"trials": trials})
    params = [{"learning_rate": 0.01 * n, "dropout": 0.1, "batch_size": 16} for n in range(1, 4)]
    records = [make_record(f"{n:04d}", [0.1 * n], params=p) for n, p in enumerate(params)]
    warm_start = make_warm_start(study, "f", study, "f", records, "first")
    before = "the recommended recipe is tried first, then " if baseline else "tried first: "
    assert warm_start.notes[0] == before + (recipe if baseline else none)
    sampler = Sampler(study, warm_start)
    tried = [spec.params for spec in iter(sampler.suggest, None)]
    assert len(tried) == trials
    known = [p["learning_rate"] for p in params]
    count = sum(p["learning_rate"] in known for p in tried)
    assert count == min(3, trials - baseline)
