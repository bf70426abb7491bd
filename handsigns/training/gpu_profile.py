"""GPU profiling of a training run, to determine how many runs can share a GPU."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from handsigns.data.splits import Split
from handsigns.errors import ResourceError
from handsigns.models import inference_model
from handsigns.training.evaluate import evaluate
from handsigns.training.train import TrainingPlan, init_state, split_to_device, train_step

_WARMUP_STEPS = 10
_MEASURED_STEPS = 40
_MAX_MEMORY_FRACTION = 0.9
"""Fraction of a GPU's memory to fill; the memory that training reserves varies."""
_CUDA_CONTEXT_BYTES = 2**30
"""GPU memory of the CUDA context of each process, which PyTorch does not count."""


@dataclass(frozen=True)
class Footprint:
    """GPU requirements of a training run.

    Attributes:
        memory_fraction: fraction of the available GPU memory, in (0, 1].
        gpu_utilization: fraction of the time in which the GPU is busy, in (0, 1].
    """

    memory_fraction: float
    gpu_utilization: float

    @property
    def max_concurrent(self) -> int:
        """Number of such runs per GPU: limited by its memory and its utilisation."""
        return max(
            1,
            min(
                int(_MAX_MEMORY_FRACTION / self.memory_fraction),
                math.ceil(1 / self.gpu_utilization),
            ),
        )


def measure_footprint(plan: TrainingPlan, train: Split, resident_bytes: int) -> Footprint:
    """Profile some training steps on an otherwise idle GPU.

    Args:
        plan: what to train; its device is the GPU.
        train: images to train and to evaluate on.
        resident_bytes: bytes of all images that are on the GPU during training.

    Raises:
        ResourceError: the plan's device is not a CUDA device.
    """
    device = plan.device
    if device.type != "cuda":
        raise ResourceError("PyTorch finds no CUDA device")
    try:
        return _measure_footprint(plan, train, resident_bytes)
    except torch.OutOfMemoryError:
        return Footprint(memory_fraction=1.0, gpu_utilization=1.0)


def _measure_footprint(plan: TrainingPlan, train: Split, resident_bytes: int) -> Footprint:
    device = plan.device
    torch.cuda.empty_cache()  # of earlier measurements
    torch.cuda.reset_peak_memory_stats(device)
    images, labels = split_to_device(train, device)
    batch = torch.arange(plan.config.batch_size, device=device) % len(images)
    batch_images, targets = images.index_select(0, batch), labels.index_select(0, batch)
    state = init_state(plan)

    def time_steps(count: int) -> float:
        start_time = time.perf_counter()
        for _ in range(count):
            train_step(state, batch_images, targets, plan.config.learning_rate)
        torch.cuda.synchronize(device)
        return time.perf_counter() - start_time

    time_steps(_WARMUP_STEPS)
    evaluate(inference_model(state.eval_model, plan.config), images, labels)
    seconds = time_steps(_MEASURED_STEPS)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        time_steps(_MEASURED_STEPS)
    busy_seconds = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6

    reserved = torch.cuda.max_memory_reserved(device)
    free, _ = torch.cuda.mem_get_info(device)
    reserved_now = torch.cuda.memory_reserved(device)
    memory_fraction = (reserved + resident_bytes + _CUDA_CONTEXT_BYTES) / (
        free + reserved_now + _CUDA_CONTEXT_BYTES
    )
    utilization = max(busy_seconds / seconds, 0.001)
    return Footprint(min(1.0, memory_fraction), min(1.0, utilization))
