"""Where a trial trains, and in which precision."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def pick_device(gpus: float | None = None) -> torch.device:
    """CUDA, else MPS, else the CPU.

    Args:
        gpus: the share of GPUs the trial was given; 0 keeps it on the CPU whatever there is.
    """
    if gpus == 0:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Mixed precision where the hardware gains from it: bfloat16 on CUDA that has it natively.

    On a CPU without bfloat16 units autocast is several times slower than float32, so never there.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()
