"""Throughput of training runs that share a GPU, measured in one process.

As parallel branches of one CUDA graph, several runs load a GPU like separate processes under MPS,
without starting any. The total throughput grows with their number until the GPU is full.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from handsigns.data.splits import Split
from handsigns.errors import ResourceError
from handsigns.models import inference_model
from handsigns.training.cuda_graph import WARMUP_CALLS, capture_problem
from handsigns.training.device_data import split_to_device
from handsigns.training.evaluate import evaluate
from handsigns.training.state import TrainingPlan, init_state
from handsigns.training.step import EpochTrainer, eager_reason

MAX_RUNS = 32
"""Largest number of runs measured."""
_MIN_GAIN = 0.1
"""Relative throughput that doubling the runs must add."""
_MEASURED_SECONDS = 0.05
_PROFILED_STEPS = 20
_MAX_MEMORY_FRACTION = 0.9
"""Fraction of a GPU's memory to fill; the memory that training reserves varies."""
_CUDA_CONTEXT_BYTES = 2**29
"""GPU memory of the CUDA context of each process, which PyTorch does not count."""


@dataclass(frozen=True)
class GpuProfile:
    """Result of profiling concurrent runs of one configuration on a GPU.

    Attributes:
        throughput: pairs of a number of runs and their total steps/s, the number doubling. Of an
            eager run, which is limited by the CPU, only one is measured.
        max_by_memory: number of runs that the GPU's memory allows.
        eager_reason: why steps are not CUDA graphs; empty if they are.
        gpu_utilization: fraction of the time in which an eager run keeps the GPU busy, in (0, 1];
            1 if steps are CUDA graphs.
    """

    throughput: tuple[tuple[int, float], ...]
    max_by_memory: int
    eager_reason: str = ""
    gpu_utilization: float = 1.0

    @property
    def saturating_runs(self) -> int:
        """Number of runs up to which each doubling of it adds at least a tenth of throughput."""
        if self.eager_reason:
            return math.ceil(1 / self.gpu_utilization)
        best = 1
        for (_, before), (runs, after) in zip(self.throughput, self.throughput[1:], strict=False):
            if after < before * (1 + _MIN_GAIN):
                break
            best = runs
        return best


def profile_gpu(
    plan: TrainingPlan, train: Split, resident_bytes: int, max_runs: int = MAX_RUNS
) -> GpuProfile:
    """Profile concurrent runs of a plan on an otherwise idle GPU, in about a second.

    Args:
        plan: what to train; its device is the GPU.
        train: images to train and to evaluate on.
        resident_bytes: bytes of all images that are on the GPU during training.
        max_runs: largest number of runs to measure; 1 only measures the memory.

    Raises:
        ResourceError: the plan's device is not a CUDA device.
    """
    device = plan.device
    if device.type != "cuda":
        raise ResourceError("PyTorch finds no CUDA device")
    gc.collect()  # of earlier measurements
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_reserved(device)
    try:
        runs = [_Run(plan, train)]
        model = inference_model(runs[0].state.eval_model, plan.config)
        evaluate(model, *runs[0].data, plan.num_classes)
        throughput, reason, utilization = _measure_one(runs[0], device)
    except torch.OutOfMemoryError:
        return GpuProfile(((1, math.nan),), max_by_memory=1)
    run_bytes = torch.cuda.max_memory_reserved(device) - before
    free, _ = torch.cuda.mem_get_info(device)
    available = _MAX_MEMORY_FRACTION * (free + torch.cuda.memory_reserved(device))
    max_by_memory = max(1, int(available / (run_bytes + resident_bytes + _CUDA_CONTEXT_BYTES)))
    profile = GpuProfile(((1, throughput),), max_by_memory, reason, utilization)
    while not reason and (count := 2 * len(runs)) <= min(max_runs, max_by_memory):
        try:
            runs += [_Run(plan, train) for _ in range(len(runs))]
            both = (*profile.throughput, (count, _graphed_steps_per_second(runs, device)))
        except RuntimeError:  # insufficient memory, whatever error that ends a capture with
            break
        profile = GpuProfile(both, max_by_memory)
        if profile.saturating_runs < count:
            break
    return profile


def _measure_one(run: _Run, device: torch.device) -> tuple[float, str, float]:
    """Return the steps/s of one run, why it is eager, and its utilisation of the GPU."""
    reason = eager_reason(run.state.plan)
    if not reason:
        try:
            return _graphed_steps_per_second([run], device), "", 1.0
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = capture_problem(error)
    steps_per_s = _steps_per_second(run.step, device)
    return steps_per_s, reason, _gpu_utilization(run.step, steps_per_s, device)


class _Run:
    """Run that repeats the first step of an epoch, on a stream of its own."""

    def __init__(self, plan: TrainingPlan, train: Split) -> None:
        self.state = init_state(plan)
        self.data = split_to_device(train, plan.device)
        self.stream = torch.cuda.Stream(plan.device)  # type: ignore[no-untyped-call]
        self._trainer = EpochTrainer(self.state, *self.data)
        self._trainer.start_epoch(1)
        self.stream.wait_stream(torch.cuda.current_stream(plan.device))
        with torch.cuda.stream(self.stream):
            for _ in range(WARMUP_CALLS):
                self.step()
        torch.cuda.synchronize(plan.device)

    def step(self) -> None:
        self._trainer.train_step()
        self._trainer.rewind()


def _graphed_steps_per_second(runs: list[_Run], device: torch.device) -> float:
    """Measure the runs as parallel branches of one CUDA graph; return their total steps/s."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        main = torch.cuda.current_stream(device)
        for run in runs:
            run.stream.wait_stream(main)
        for run in runs:
            with torch.cuda.stream(run.stream):
                run.step()
        for run in runs:
            main.wait_stream(run.stream)
    return len(runs) * _steps_per_second(graph.replay, device)


def _steps_per_second(step: Callable[[], None], device: torch.device) -> float:
    step()
    torch.cuda.synchronize(device)
    started, steps = time.perf_counter(), 0
    while (seconds := time.perf_counter() - started) < _MEASURED_SECONDS:
        step()
        torch.cuda.synchronize(device)
        steps += 1
    return steps / seconds


def _gpu_utilization(step: Callable[[], None], steps_per_s: float, device: torch.device) -> float:
    """Return the fraction of the time in which a kernel runs."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities, acc_events=True) as profile:
        for _ in range(_PROFILED_STEPS):
            step()
        torch.cuda.synchronize(device)
    busy: float = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    if not busy:  # the profiler has no access to the GPU's counters
        return 1.0
    return min(1.0, max(busy * steps_per_s / _PROFILED_STEPS, 0.001))
