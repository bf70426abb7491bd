import pytest

from handsigns.config.trial import TrialConfig
from handsigns.model import build_model
from handsigns.training.optimize import WARMUP, build_optimizer, schedule_factor


def test_one_cycle_rises_to_its_peak_and_falls():
    values = [schedule_factor("one_cycle", step / 1000) for step in range(1000)]
    peak = int(1000 * WARMUP)
    assert values[0] == pytest.approx(1 / 25)
    assert values[peak] == pytest.approx(1.0)
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert values[-1] < 0.01


def test_cosine_falls_from_the_peak_and_constant_stays():
    values = [schedule_factor("cosine", step / 100) for step in range(100)]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.01
    assert {schedule_factor("constant", step / 10) for step in range(10)} == {1.0}


def test_biases_and_norms_are_not_decayed():
    model = build_model(TrialConfig(weight_decay=0.1), 6, 64)
    decayed, plain = build_optimizer(TrialConfig(weight_decay=0.1), model).param_groups
    assert decayed["weight_decay"] == 0.1
    assert plain["weight_decay"] == 0.0
    assert {p.ndim for p in plain["params"]} == {1}
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))
