"""Checkpoints: all of a training's state in one safetensors file, loaded without running any code.

Tensors are the weights (``model.*``), their averages (``average.*``), the optimiser's moments
(``optimizer.*``) and the random states (``random.*``); the schedule needs no more than the epoch.
The metrics of the latest epochs stand in the metadata, as reports of them may have been lost; and a
checksum of the tensors, as a power cut can leave a file of the right length with other content.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from handsigns.metrics import EpochMetrics
from handsigns.training.train import TrainingPlan, TrainingState, start

_FORMAT = 3
"""Raised when checkpoints of earlier versions can no longer be used."""


class CheckpointError(Exception):
    """A file that is no whole checkpoint of the training asked for."""


def dump_checkpoint(state: TrainingState) -> bytes:
    """The state between two epochs, as the content of a file."""
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in state.optimizer.state().items()}
    if state.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.state().items()}
    tensors |= _random_states(state)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {
        "plan": _describe(state.plan),
        "recent": json.dumps([dataclasses.asdict(metrics) for metrics in state.recent]),
        "checksum": _checksum(plain),
    }
    return save(plain, metadata)


def load_checkpoint(data: bytes, plan: TrainingPlan, name: str) -> TrainingState:
    """The state that was saved, ready to go on.

    Args:
        data: content of the file.
        plan: of the training.
        name: of the file, for errors.

    Raises:
        CheckpointError: it is torn, or belongs to another training.
    """
    try:
        metadata = _metadata(data)
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{name} is no whole checkpoint: {error}") from error
    if metadata.get("plan") != _describe(plan):
        raise CheckpointError(f"{name} is a checkpoint of another training")
    if metadata.get("checksum") != _checksum(tensors):
        raise CheckpointError(f"{name} is damaged: its checksum does not fit")
    state = start(plan)
    try:
        state.model.load_state_dict(_under("model.", tensors))
        state.optimizer.restore(_under("optimizer.", tensors))
        if state.average is not None:
            state.average.restore(_under("average.", tensors))
        _restore_random_states(state, _under("random.", tensors))
        state.recent.extend(EpochMetrics(**metrics) for metrics in json.loads(metadata["recent"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{name} holds another state than it says: {error}") from error
    return state


def _metadata(data: bytes) -> dict[str, str]:
    """What stands beside the tensors: the header's length in 8 bytes, then the header, in JSON."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].numpy().reshape(-1).view("uint8").data, total)
    return f"{total:08x}"


def _describe(plan: TrainingPlan) -> str:
    # Averages are part of the state, although not of how the weights are trained.
    averaged = {"weight_average": average} if (average := plan.config.weight_average) else {}
    fields: dict[str, Any] = {
        "format": _FORMAT,
        "config": plan.config.identity() | averaged,
        "classes": plan.classes,
        "size": plan.size,
        "max_epochs": plan.max_epochs,
        "seed": plan.seed,
    }
    return json.dumps(fields, sort_keys=True)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _random_states(state: TrainingState) -> dict[str, Tensor]:
    states = {"random.own": state.generator.get_state(), "random.cpu": torch.get_rng_state()}
    if state.plan.device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(state.plan.device)
    return states


def _restore_random_states(state: TrainingState, saved: Mapping[str, Tensor]) -> None:
    state.generator.set_state(saved["own"])
    torch.set_rng_state(saved["cpu"])
    if "cuda" in saved and state.plan.device.type == "cuda":
        torch.cuda.set_rng_state(saved["cuda"], state.plan.device)
