"""Checkpoints: the whole training state in one safetensors file, loaded without running any code.

Tensors are the weights (``model.*``), their moving averages (``ema.*``), the optimiser's moments
(``optimizer.*``) and the random states (``rng.*``); the schedule depends on the epoch alone. The
metadata has the metrics of the latest epochs, whose reports may have been lost, and a checksum of
the tensors, since a power failure can leave a file of the right length with wrong content.
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
from handsigns.training.state import TrainingPlan, TrainingState, init_state

_FORMAT_VERSION = 5
"""Version of the checkpoint format, incremented on incompatible changes."""


class CheckpointError(Exception):
    """File that is not a complete checkpoint of the requested training run."""


def dump_checkpoint(state: TrainingState) -> bytes:
    """Serialise the state between two epochs."""
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {
        f"optimizer.{name}": tensor for name, tensor in state.optimizer.state_dict().items()
    }
    if state.ema is not None:
        tensors |= {f"ema.{name}": tensor for name, tensor in state.ema.state_dict().items()}
    tensors |= _rng_states(state)
    cpu_tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {
        "plan": _plan_json(state.plan),
        "history": json.dumps([dataclasses.asdict(metrics) for metrics in state.history]),
        "checksum": _checksum(cpu_tensors),
    }
    return save(cpu_tensors, metadata)


def load_checkpoint(data: bytes, plan: TrainingPlan, name: str) -> TrainingState:
    """Restore a saved state, to resume training from.

    Args:
        data: content of the file.
        plan: plan of the training run.
        name: name of the file, for errors.

    Raises:
        CheckpointError: it is truncated or damaged, or belongs to a different training run.
    """
    try:
        metadata = _metadata(data)
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{name} is not a complete checkpoint: {error}") from error
    if metadata.get("plan") != _plan_json(plan):
        raise CheckpointError(f"{name} is a checkpoint of a different training run")
    if metadata.get("checksum") != _checksum(tensors):
        raise CheckpointError(f"{name} is damaged: checksum mismatch")
    state = init_state(plan)
    try:
        state.model.load_state_dict(_strip_prefix("model.", tensors))
        state.optimizer.load_state_dict(_strip_prefix("optimizer.", tensors))
        if state.ema is not None:
            state.ema.load_state_dict(_strip_prefix("ema.", tensors))
        _restore_rng_states(state, _strip_prefix("rng.", tensors))
        state.history.extend(EpochMetrics(**metrics) for metrics in json.loads(metadata["history"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{name} does not match its metadata: {error}") from error
    return state


def _metadata(data: bytes) -> dict[str, str]:
    """Parse the metadata from the file's header: its length in 8 bytes, then JSON."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    total = 0
    for name in sorted(tensors):
        # Viewed as bytes in torch, since numpy has no bfloat16.
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def _plan_json(plan: TrainingPlan) -> str:
    # The moving average is part of the state, although it does not affect training.
    ema_fields = {"ema_epochs": ema} if (ema := plan.config.ema_epochs) else {}
    fields: dict[str, Any] = {
        "format": _FORMAT_VERSION,
        "config": plan.config.seed_fields() | ema_fields,
        "classes": plan.num_classes,
        "size": plan.image_size,
        "max_epochs": plan.max_epochs,
        "seed": plan.seed,
    }
    return json.dumps(fields, sort_keys=True)


def _strip_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _rng_states(state: TrainingState) -> dict[str, Tensor]:
    states = {"rng.generator": state.generator.get_state(), "rng.cpu": torch.get_rng_state()}
    if state.plan.device.type == "cuda":
        states["rng.cuda"] = torch.cuda.get_rng_state(state.plan.device)
    return states


def _restore_rng_states(state: TrainingState, saved: Mapping[str, Tensor]) -> None:
    state.generator.set_state(saved["generator"])
    torch.set_rng_state(saved["cpu"])
    if "cuda" in saved and state.plan.device.type == "cuda":
        torch.cuda.set_rng_state(saved["cuda"], state.plan.device)
