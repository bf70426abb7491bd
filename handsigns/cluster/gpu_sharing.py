"""Number of trials per GPU, measured on the GPUs before the first trial."""

from __future__ import annotations

from handsigns.cluster.remote import run_on_nodes
from handsigns.cluster.resources import DEFAULT_TRIALS_PER_GPU, ResourceAllocation
from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.data.splits import Split

_PROBE_BATCH = 1024
"""Images sent to a GPU: the size of an evaluation batch."""


def trials_per_gpu(
    search_config: SearchConfig,
    data: DataSet,
    user_code: UserCode | None,
    allocation: ResourceAllocation,
) -> tuple[int, str]:
    """Measure the space's largest configuration of each architecture on every eligible node.

    Args:
        search_config, data, user_code: those of the search.
        allocation: provisional resources of a trial, with a fraction of a GPU.

    Returns:
        The number of trials that fit on the smallest of these GPUs (the default if measuring
        fails), and a note for the user.
    """
    results, problems = run_on_nodes(
        measure_max_concurrent,
        *(largest_configs(search_config), data.train.head(_PROBE_BATCH), data.train_val_nbytes),
        *(len(data.info.classes), user_code),
        allocation=allocation,
        gpus=1,
    )
    if problems:
        node, reason = next(iter(problems.items()))
        return (
            DEFAULT_TRIALS_PER_GPU,
            f"{DEFAULT_TRIALS_PER_GPU} trials share a GPU (the default), as measuring failed on "
            f"{node}: {reason}",
        )
    max_per_gpu = min(results.values(), default=DEFAULT_TRIALS_PER_GPU)
    shared = (
        f"{max_per_gpu} trials share a GPU" if max_per_gpu > 1 else "each trial has a GPU to itself"
    )
    return max_per_gpu, f"{shared} (measured)"


def largest_configs(search_config: SearchConfig) -> list[TrialConfig]:
    """Return the largest configuration of each architecture in the search space."""
    architecture = search_config.space.get("architecture")
    architectures = (architecture and architecture.values()) or [TrialConfig().architecture]
    largest = search_config.space.largest_params
    return [TrialConfig.from_params(largest({"architecture": name})) for name in architectures]


def measure_max_concurrent(
    configs: list[TrialConfig],
    sample: Split,
    dataset_bytes: int,
    classes: int,
    user_code: UserCode | None,
) -> int:
    """Return how many trainings of the largest configuration fit on this node's GPU."""
    from handsigns.training.device import pick_device
    from handsigns.training.gpu_profile import measure_footprint
    from handsigns.training.train import TrainingPlan

    device, size = pick_device(), sample.images.shape[1]
    plans = [
        TrainingPlan(
            config, classes, size, max_epochs=1, seed=0, device=device, user_code=user_code
        )
        for config in configs
    ]
    return min(measure_footprint(plan, sample, dataset_bytes).max_concurrent for plan in plans)
