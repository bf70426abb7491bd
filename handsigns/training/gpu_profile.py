"""What a training takes of a GPU, from which follows how many can share one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from handsigns.data.splits import Split
from handsigns.errors import ResourceError
from handsigns.models import as_evaluated
from handsigns.training.evaluate import evaluate
from handsigns.training.train import TrainingPlan, on_device, start, train_step

_WARM_UP_STEPS = 10
_STEPS = 40
_FILLED = 0.9
"""Of a GPU's memory: what trainings reserve varies."""
_PROCESS_BYTES = 2**30
"""Of a GPU's memory, that CUDA takes for each process beside what PyTorch counts."""


@dataclass(frozen=True)
class Footprint:
    """What a training takes of a GPU.

    Attributes:
        memory: share of the memory that was free, in (0, 1].
        busy: share of the time in which the GPU computes for it, in (0, 1].
    """

    memory: float
    busy: float

    @property
    def sharing(self) -> int:
        """How many such trainings share a GPU: as many as fit, and no more than keep it busy."""
        return max(1, min(int(_FILLED / self.memory), math.ceil(1 / self.busy)))


def measure_footprint(plan: TrainingPlan, train: Split, resident_bytes: int) -> Footprint:
    """Train some steps on a GPU that nothing else uses meanwhile.

    Args:
        plan: what to train; its device is the GPU.
        train: pictures to train on, and to evaluate on as many at once as there are.
        resident_bytes: of all pictures that lie on the GPU during a training.

    Raises:
        ResourceError: the plan's device is no CUDA device.
    """
    device = plan.device
    if device.type != "cuda":
        raise ResourceError("PyTorch sees no CUDA device there")
    try:
        return _measure(plan, train, resident_bytes)
    except torch.OutOfMemoryError:
        return Footprint(memory=1.0, busy=1.0)


def _measure(plan: TrainingPlan, train: Split, resident_bytes: int) -> Footprint:
    device = plan.device
    torch.cuda.empty_cache()  # of what was measured before
    torch.cuda.reset_peak_memory_stats(device)
    images, labels = on_device(train, device)
    batch = torch.arange(plan.config.batch_size, device=device) % len(images)
    pictures, targets = images.index_select(0, batch), labels.index_select(0, batch)
    state = start(plan)

    def steps(count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            train_step(state, pictures, targets, plan.config.learning_rate)
        torch.cuda.synchronize(device)
        return time.perf_counter() - begun

    steps(_WARM_UP_STEPS)
    evaluate(as_evaluated(state.result, plan.config), images, labels)
    seconds = steps(_STEPS)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        steps(_STEPS)
    busy = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6

    reserved = torch.cuda.max_memory_reserved(device)
    free, _ = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_reserved(device)
    memory = (reserved + resident_bytes + _PROCESS_BYTES) / (free + held + _PROCESS_BYTES)
    return Footprint(min(1.0, memory), min(1.0, max(busy / seconds, 0.001)))
