import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResourceError
from handsigns.training.gpu_profile import Footprint, measure_footprint
from handsigns.training.train import TrainingPlan


@pytest.mark.parametrize(
    ("memory", "utilization", "max_concurrent"),
    [
        (0.02, 0.5, 2),  # two saturate the GPU
        (0.02, 0.3, 4),  # three would leave it idle a tenth of the time
        (0.02, 1.0, 1),
        (0.3, 0.1, 3),  # limited by memory
        (0.45, 0.1, 2),
        (1.0, 0.1, 1),  # at least one, whatever it needs
    ],
)
def test_max_concurrent_is_limited_by_memory_and_utilization(memory, utilization, max_concurrent):
    assert Footprint(memory, utilization).max_concurrent == max_concurrent


def plan_on(device: str, width: int = 16) -> TrainingPlan:
    config = TrialConfig(channel_width=width)
    return TrainingPlan(config, 3, 32, max_epochs=1, seed=0, device=torch.device(device))


def test_measuring_needs_a_cuda_device(make_split):
    with pytest.raises(ResourceError, match="no CUDA device"):
        measure_footprint(plan_on("cpu"), make_split(64, size=32), 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_footprint_on_a_gpu(make_split):
    split = make_split(64, size=32)
    narrow, wide = (measure_footprint(plan_on("cuda", w), split, 2**20) for w in (4, 256))
    assert 0 < narrow.memory_fraction < wide.memory_fraction <= 1
    assert 0 < narrow.gpu_utilization < wide.gpu_utilization <= 1
    with_large_data = measure_footprint(plan_on("cuda", 4), split, 2**34)
    assert with_large_data.memory_fraction > narrow.memory_fraction + 0.1
