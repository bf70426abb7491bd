"""GPU memory: what a trial takes is returned, and profiling knows how much that is."""

import contextlib
import gc

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.training.device import release_gpu_memory
from handsigns.training.gpu_profile import profile_gpu
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.train import train_epochs

pytestmark = pytest.mark.gpu


def plan_on(device, width=16, batch_size=32):
    config = TrialConfig(channel_width=width, batch_size=batch_size)
    return TrainingPlan(config, 3, 32, max_epochs=2, seed=0, device=device)


def train_and_release(plan, splits, stop):
    """Train as `run_trial` does; Ray stops a trial by raising SystemExit in it."""
    with release_gpu_memory():
        for _ in train_epochs(init_state(plan), *splits):
            if stop:
                raise SystemExit(0)


def test_memory_returns_to_its_baseline_after_fifty_trials(cuda, make_split):
    splits = make_split(200, size=32), make_split(40, seed=1, size=32)
    for split in splits:
        split.images.flags.writeable = split.labels.flags.writeable = False
    train_and_release(plan_on(cuda), splits, stop=False)
    baseline = torch.cuda.memory_allocated(cuda), torch.cuda.memory_reserved(cuda)
    for trial in range(50):
        with contextlib.suppress(SystemExit):
            train_and_release(plan_on(cuda, width=4 + trial), splits, stop=trial % 2 == 0)
    gc.collect()
    assert torch.cuda.memory_allocated(cuda) <= baseline[0]
    assert torch.cuda.memory_reserved(cuda) <= baseline[1]


def test_wider_networks_leave_room_for_fewer_trials(cuda, make_split):
    split = make_split(256, size=32)
    narrow, wide = (profile_gpu(plan_on(cuda, width), split, 2**20, 1) for width in (4, 256))
    assert 1 <= wide.max_by_memory < narrow.max_by_memory
    assert 0 < wide.throughput[0][1] < narrow.throughput[0][1]
    with_large_data = profile_gpu(plan_on(cuda, 4), split, 2**33, 1)
    assert with_large_data.max_by_memory < narrow.max_by_memory


def test_throughput_is_measured_until_the_gpu_is_full(cuda, make_split):
    profile = profile_gpu(plan_on(cuda), make_split(256, size=32), 2**20)
    counts = [runs for runs, _ in profile.throughput]
    assert counts == [2**power for power in range(len(counts))]
    assert profile.saturating_runs in counts
    assert profile.eager_reason == ""
