"""Tests of the arithmetic of the policy study, on curves that are best in the middle."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from handsigns.config.load import load_search_config

PRESETS = Path(__file__).resolve().parents[2] / "search_spaces"
EPOCHS = 36
EPOCH_S = 10.0


@pytest.fixture
def curves(program, tmp_path):
    """Record curves of 40 configurations, each best half way through its training."""
    config = load_search_config(PRESETS / "default.yaml")
    epochs = np.arange(1, EPOCHS + 1)
    dip = np.exp(-(((epochs - EPOCHS / 2) / 4) ** 2))
    rows = [
        {"config": number, "seed": 0, "epoch": epoch, "val_loss": loss, "val_accuracy": 1 - loss,
         "seconds": EPOCH_S, **params}
        for number, params in enumerate(program("curves").sobol_params(config, 40))
        for epoch, loss in zip(epochs, (0.3 + params["dropout"]) * (1 - 0.9 * dip), strict=True)
    ]  # fmt: skip
    path = tmp_path / "hands-default.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


def test_oracle_trains_to_the_end(program, curves):
    assert program("recorded_curves").oracle_times(curves) == (1.0, 1.0, 1.0)


def test_real_searches_are_compared_with_as_many_simulated_ones(program):
    simulation = program("simulation")
    real, other = (simulation.Run([(1.0, loss)], trials=1) for loss in (0.5, 1.0))
    (target,) = simulation._targets([real] * 3, [*[other] * 3, real], seconds=10.0)
    assert target.value == 0.0


def test_targets_are_reached_by_last_epochs_only(program, curves):
    policy = program("policy")
    outcome = policy.simulate(policy.Cell(curves, 2, horizon=8.0), "TPE, no early stopping", 0)
    assert min(outcome.times) >= 1.0
    assert outcome.times[0] < 8.0
