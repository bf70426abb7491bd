import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResourceError
from handsigns.training.gpu_profile import Footprint, measure_footprint
from handsigns.training.train import TrainingPlan


@pytest.mark.parametrize(
    ("memory", "busy", "sharing"),
    [
        (0.02, 0.5, 2),  # two keep the GPU busy
        (0.02, 0.3, 4),  # three would leave a tenth of its time
        (0.02, 1.0, 1),
        (0.3, 0.1, 3),  # no more fit
        (0.45, 0.1, 2),
        (1.0, 0.1, 1),  # one has to, whatever it takes
    ],
)
def test_as_many_as_fit_and_as_keep_a_gpu_busy(memory, busy, sharing):
    assert Footprint(memory, busy).sharing == sharing


def plan_on(device: str, width: int = 16) -> TrainingPlan:
    config = TrialConfig(channel_width=width)
    return TrainingPlan(config, 3, 32, max_epochs=1, seed=0, device=torch.device(device))


def test_a_cpu_is_no_gpu(make_split):
    with pytest.raises(ResourceError, match="no CUDA device"):
        measure_footprint(plan_on("cpu"), make_split(64, size=32), 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_what_is_measured_on_a_gpu(make_split):
    split = make_split(64, size=32)
    narrow, wide = (measure_footprint(plan_on("cuda", w), split, 2**20) for w in (4, 256))
    assert 0 < narrow.memory < wide.memory <= 1
    assert 0 < narrow.busy < wide.busy <= 1
    assert measure_footprint(plan_on("cuda", 4), split, 2**34).memory > narrow.memory + 0.1
