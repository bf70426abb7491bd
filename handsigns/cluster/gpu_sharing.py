"""How many trials share a GPU: measured on the GPUs themselves, before the first trial."""

from __future__ import annotations

from handsigns.cluster.remote import ask_nodes
from handsigns.cluster.resources import PER_GPU, Slots
from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode
from handsigns.data.dataset import DataSet
from handsigns.data.splits import Split

_PICTURES = 1024
"""Handed to a GPU: as many as are evaluated at once."""


def trials_per_gpu(
    study: StudyConfig, data: DataSet, own: OwnCode | None, slots: Slots
) -> tuple[int, str]:
    """Measure the space's heaviest network of each architecture on every node for trials.

    Args:
        study, data, own: of the search.
        slots: what a trial takes, as long as that is not measured; with a share of a GPU.

    Returns:
        how many trials the weakest of these GPUs carries, the usual number where that cannot be
        measured; and what to tell the user.
    """
    answers, problems = ask_nodes(
        measure, heaviest(study), data.train.first(_PICTURES), data.trial_bytes,
        len(data.info.classes), own, slots=slots, gpus=1,
    )  # fmt: skip
    if problems:
        where, why = next(iter(problems.items()))
        return PER_GPU, f"{PER_GPU} trials share a GPU, as that was not measured on {where}: {why}"
    fewest = min(answers.values(), default=PER_GPU)
    shared = f"{fewest} trials share a GPU" if fewest > 1 else "each trial has a GPU to itself"
    return fewest, f"{shared}, as measured"


def heaviest(study: StudyConfig) -> list[TrialConfig]:
    """For each architecture of a space, the largest that its hyperparameters come to."""
    architecture = study.space.get("architecture")
    named = (architecture and architecture.values()) or [TrialConfig().architecture]
    largest = study.space.largest_params
    return [TrialConfig.from_params(largest({"architecture": name})) for name in named]


def measure(
    configs: list[TrialConfig], sample: Split, resident: int, classes: int, own: OwnCode | None
) -> int:
    """On a node: how many trainings, of whichever configuration is the heaviest, a GPU carries."""
    from handsigns.training.device import pick_device
    from handsigns.training.gpu_profile import measure_footprint
    from handsigns.training.train import TrainingPlan

    device, size = pick_device(), sample.images.shape[1]
    plans = [
        TrainingPlan(config, classes, size, max_epochs=1, seed=0, device=device, own=own)
        for config in configs
    ]
    return min(measure_footprint(plan, sample, resident).sharing for plan in plans)
