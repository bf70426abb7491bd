import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResourceError
from handsigns.training.gpu_profile import GpuProfile, profile_gpu
from handsigns.training.state import TrainingPlan


@pytest.mark.parametrize(
    ("throughput", "saturating_runs"),
    [
        (((1, 1385), (2, 2200), (4, 3225), (8, 3900), (16, 4330), (32, 4400)), 16),
        (((1, 567), (2, 700), (4, 730)), 2),
        (((1, 1000), (2, 1050)), 1),
        (((1, 1000),), 1),
        (((1, 1000), (2, 1050), (4, 2000)), 1),  # noise after the end
    ],
)
def test_gpu_is_full_when_doubling_adds_less_than_a_tenth(throughput, saturating_runs):
    assert GpuProfile(throughput, max_by_memory=60).saturating_runs == saturating_runs


@pytest.mark.parametrize(("utilization", "runs"), [(0.5, 2), (0.3, 4), (1.0, 1)])
def test_eager_runs_share_by_utilization(utilization, runs):
    profile = GpuProfile(((1, 250.0),), 60, "user-defined network a:b", utilization)
    assert profile.saturating_runs == runs


def test_profiling_needs_a_cuda_device(make_split):
    plan = TrainingPlan(TrialConfig(), 3, 32, max_epochs=1, seed=0, device=torch.device("cpu"))
    with pytest.raises(ResourceError, match="no CUDA device"):
        profile_gpu(plan, make_split(64, size=32), 0)
