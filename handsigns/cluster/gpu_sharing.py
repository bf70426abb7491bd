"""Number of trials per GPU, measured on the GPUs before the first trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.cluster.mps import mps_active
from handsigns.cluster.remote import run_on_nodes
from handsigns.cluster.resources import GpuSharing, ResourceAllocation
from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode
from handsigns.console.format import pluralize
from handsigns.data.dataset import DataSet
from handsigns.data.splits import Split

if TYPE_CHECKING:
    from handsigns.policy.limited_space import LimitedSpace

_PROBE_IMAGES = 1024
"""Images sent to a GPU: the size of an evaluation batch."""
_TIME_SLICED_TRIALS = 2
"""Trials per GPU without MPS: kernels of different processes do not run concurrently, so that a
second trial only fills the gaps in which the first saves, reports or starts."""
_MAX_MPS_CLIENTS = 48
"""Processes that every version of MPS accepts on a GPU."""
_GRAPHED_CPUS_PER_TRIAL = 0.25
"""CPUs that a trial needs whose steps are CUDA graphs: it launches one graph per step."""


@dataclass(frozen=True)
class GpuMeasurement:
    """Measurement of a node's GPU.

    Attributes:
        device: name of the GPU.
        throughput: pairs of a number of trials and their total steps/s, in the recommended
            configuration.
        saturating_trials: number of trials in the recommended configuration that fill the GPU.
        max_by_memory: number of trials in the largest configuration that its memory allows.
        largest_steps_per_s: steps/s of one trial in the largest configuration.
        eager_reason: why trials do not use CUDA graphs; empty if they do.
        mps: whether processes share the GPU through MPS, rather than by time slicing.
    """

    device: str
    throughput: tuple[tuple[int, float], ...]
    saturating_trials: int
    max_by_memory: int
    largest_steps_per_s: float
    eager_reason: str
    mps: bool

    @property
    def sharing(self) -> GpuSharing:
        """How many trials share the GPU."""
        graphed = not self.eager_reason
        trials = _TIME_SLICED_TRIALS if graphed and not self.mps else self.saturating_trials
        return GpuSharing(
            min(trials, self.max_by_memory, _MAX_MPS_CLIENTS),
            _GRAPHED_CPUS_PER_TRIAL if graphed else 1.0,
        )

    def __str__(self) -> str:
        rates = ", ".join(f"{_format_rate(rate)} ({n})" for n, rate in self.throughput)
        mode = "MPS" if self.mps else "time slicing"
        eager = f"; without CUDA graphs: {self.eager_reason}" if self.eager_reason else ""
        return (
            f"{self.device} ({mode}): steps/s by number of trials in the recommended configuration "
            f"{rates}, in the largest {_format_rate(self.largest_steps_per_s)} (1); memory for "
            f"{pluralize(self.max_by_memory, 'trial')}{eager}"
        )


def _format_rate(steps_per_s: float) -> str:
    return f"{steps_per_s:,.0f}" if math.isfinite(steps_per_s) else "not enough memory"


def measure_gpu_sharing(
    search_config: SearchConfig,
    data: DataSet,
    user_code: UserCode | None,
    allocation: ResourceAllocation,
    limited_space: LimitedSpace | None,
) -> tuple[GpuSharing, list[str]]:
    """Measure the GPU of every eligible node, with the recommended and the largest configuration.

    Args:
        search_config, data, user_code: those of the search.
        allocation: provisional resources of a trial, with a fraction of a GPU.
        limited_space: the part of the space that is within the limits; None without limits.

    Returns:
        The sharing of the GPU that carries the fewest trials (the default if measuring fails), and
        notes for the user.
    """
    results, problems = run_on_nodes(
        measure_gpu,
        recommended_config(search_config, limited_space),
        largest_configs(search_config, limited_space),
        *(data.train.head(_PROBE_IMAGES), data.train_val_nbytes, len(data.info.classes)),
        user_code,
        allocation=allocation,
        gpus=1,
    )
    default = GpuSharing()
    if problems or not results:
        node, reason = next(iter(problems.items()), ("all nodes", "there are none"))
        return default, [
            f"{default.trials_per_gpu} trials share a GPU (the default), as measuring failed on "
            f"{node}: {reason}"
        ]
    sharing = min((result.sharing for result in results.values()), key=lambda s: s.trials_per_gpu)
    count = sharing.trials_per_gpu
    shared = f"{count} trials share a GPU" if count > 1 else "each trial has a GPU to itself"
    notes = sorted({str(result) for result in results.values()})
    return sharing, [*notes, f"{shared} (measured)"]


def recommended_config(
    search_config: SearchConfig, limited_space: LimitedSpace | None = None
) -> TrialConfig:
    """Return the configuration within the limits that is nearest to the recommended one."""
    params = search_config.space.nearest_params(TrialConfig().hyperparameters())
    if limited_space is not None:
        params = limited_space.nearest(params) or limited_space.included[0]
    return TrialConfig.from_params(params)


def largest_configs(
    search_config: SearchConfig, limited_space: LimitedSpace | None = None
) -> list[TrialConfig]:
    """Return the largest configuration of each architecture within the limits."""
    largest = search_config.space.largest_params
    if limited_space is not None:
        networks = limited_space.largest_networks()
        return [TrialConfig.from_params(largest(network)) for network in networks]
    architecture = search_config.space.get("architecture")
    architectures = (architecture and architecture.values()) or [TrialConfig().architecture]
    return [TrialConfig.from_params(largest({"architecture": name})) for name in architectures]


def measure_gpu(
    recommended: TrialConfig,
    largest: list[TrialConfig],
    sample: Split,
    dataset_bytes: int,
    classes: int,
    user_code: UserCode | None,
) -> GpuMeasurement:
    """Measure this node's GPU.

    Raises:
        ResourceError: PyTorch finds no CUDA device.
    """
    from handsigns.training.device import describe_device, pick_device
    from handsigns.training.gpu_profile import MAX_RUNS, GpuProfile, profile_gpu
    from handsigns.training.state import TrainingPlan

    device, size, mps = pick_device(), sample.images.shape[1], mps_active()

    def profile(config: TrialConfig, max_runs: int) -> GpuProfile:
        plan = TrainingPlan(
            config, classes, size, max_epochs=1, seed=0, device=device, user_code=user_code
        )
        return profile_gpu(plan, sample, dataset_bytes, max_runs)

    many = profile(recommended, MAX_RUNS if mps else 1)
    one_of_each = [profile(config, 1) for config in largest]
    return GpuMeasurement(
        device=describe_device(device).removeprefix("cuda "),
        throughput=many.throughput,
        saturating_trials=many.saturating_runs,
        max_by_memory=min(p.max_by_memory for p in (many, *one_of_each)),
        largest_steps_per_s=min(p.throughput[0][1] for p in one_of_each),
        eager_reason=many.eager_reason,
        mps=mps,
    )
