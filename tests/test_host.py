"""How many CPUs a process has, and how its threads wait for each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from handsigns.host import available_cpus, passive_waiting

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 4), ("?", 4), (None, 4)],
)
def test_no_more_than_the_container_may_use(quota, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 4, 6})
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert available_cpus(tmp_path / "cpu.max") == expected


TRAIN = """
import os, sys, {first}
import handsigns.winner.retrain
import torch
from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.splits import Split
from handsigns.training.train import TrainingPlan, fit, start
import numpy as np

assert "OMP_WAIT_POLICY" not in os.environ
torch.set_num_threads(2)
labels = np.arange(32) % 2
images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
plan = TrainingPlan(TrialConfig(channel_width=4), 2, 16, 2, 0, torch.device("cpu"))
state = start(plan)
for _ in fit(state, Split(images, labels, tuple(map(str, range(32)))), None):
    pass
print([value.double().sum().item() for value in state.model.state_dict().values()])
"""


def run(code, **environment):
    """Run code in a process of its own; returns its output and how often its threads spin."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=usual | environment, cwd=REPOSITORY,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout, re.findall(r"GOMP_SPINCOUNT = '(\w+)'", done.stderr)


def test_training_is_the_same_however_threads_wait():
    usual, spins = run(TRAIN.format(first="torch"), OMP_DISPLAY_ENV="verbose")
    if not spins:
        pytest.skip("another OpenMP, which does not display its settings")
    passive, spins_of_ours = run(TRAIN.format(first="os"), OMP_DISPLAY_ENV="verbose")
    assert spins_of_ours == ["0"] != spins
    assert passive == usual


def test_the_wait_policy_of_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    with passive_waiting():
        assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert os.environ["OMP_WAIT_POLICY"] == "active"
