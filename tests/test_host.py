"""CPUs available to a process, and the OpenMP wait policy of its threads."""

import os
import re
import subprocess
import sys

import pytest

from handsigns.host import available_cpus, is_installed, passive_omp_wait
from tests.support.workspace import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 4), ("?", 4), (None, 4)],
)
def test_available_cpus_respect_the_container_quota(quota, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 4, 6})
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert available_cpus(tmp_path / "cpu.max") == expected


def test_a_folder_is_not_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "no_such_package").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not is_installed("no_such_package")
    (tmp_path / "no_such_package" / "__init__.py").touch()
    assert is_installed("no_such_package")


TRAINING_SCRIPT = """
import os, sys, {first_import}
import handsigns.winner.write
import torch
from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.splits import Split
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs
import numpy as np

assert "OMP_WAIT_POLICY" not in os.environ
torch.set_num_threads(2)
labels = np.arange(32) % 2
images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
plan = TrainingPlan(TrialConfig(channel_width=4), 2, 16, 2, 0, torch.device("cpu"))
state = init_state(plan)
for _ in train_epochs(state, Split(images, labels, tuple(map(str, range(32)))), None):
    pass
print([value.double().sum().item() for value in state.model.state_dict().values()])
"""


def run(code, **environment):
    """Run code in a new process; return its output and its OpenMP spin counts."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    completed = subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, cwd=REPOSITORY,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return completed.stdout, re.findall(r"GOMP_SPINCOUNT = '(\w+)'", completed.stderr)


def test_wait_policy_does_not_affect_training_results():
    default, spin_counts = run(
        TRAINING_SCRIPT.format(first_import="torch"), OMP_DISPLAY_ENV="verbose"
    )
    if not spin_counts:
        pytest.skip("this OpenMP implementation does not print its settings")
    passive, passive_spin_counts = run(
        TRAINING_SCRIPT.format(first_import="os"), OMP_DISPLAY_ENV="verbose"
    )
    assert passive_spin_counts == ["0"] != spin_counts
    assert passive == default


def test_wait_policy_set_by_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    with passive_omp_wait():
        assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert os.environ["OMP_WAIT_POLICY"] == "active"
