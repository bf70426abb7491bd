"""How many trials share a GPU: measured on the GPUs themselves, before the first trial."""

from __future__ import annotations

import dataclasses

from handsigns.config.own_code import OwnCode
from handsigns.config.study import StudyConfig
from handsigns.config.trial import TrialConfig
from handsigns.data.open import DataSet
from handsigns.data.splits import Split
from handsigns.search.ask import ask_nodes
from handsigns.search.slots import PER_GPU, Node

_PICTURES = 1024
"""Handed to a GPU: as many as are evaluated at once."""


def trials_per_gpu(study: StudyConfig, data: DataSet, own: OwnCode | None) -> tuple[int, str]:
    """Measure the space's heaviest network of each architecture on every node with GPUs.

    Returns:
        how many trials the weakest of these GPUs carries, the usual number where that cannot be
        measured; and what to tell the user.
    """
    wanted = study.resources.accelerator_type

    def able(node: Node) -> bool:
        return node.gpus >= 1 and (wanted is None or wanted in node.accelerators)

    sample = data.train.first(_PICTURES)
    resident = data.train.images.nbytes + data.val.images.nbytes
    answers, problems = ask_nodes(
        measure, heaviest(study), sample, resident, len(data.info.classes), own, of=able, gpus=1
    )
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
    from handsigns.training.fit import TrainingPlan
    from handsigns.training.footprint import measure_footprint

    device, size = pick_device(), sample.images.shape[1]
    plan = TrainingPlan(configs[0], classes, size, max_epochs=1, seed=0, device=device, own=own)
    plans = [dataclasses.replace(plan, config=config) for config in configs]
    return min(measure_footprint(each, sample, resident).sharing for each in plans)
