"""Device and precision of a training run."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def pick_device(gpus: float | None = None) -> torch.device:
    """Pick CUDA, else MPS, else the CPU.

    Args:
        gpus: GPUs allocated to the trial; 0 forces the CPU.
    """
    if gpus == 0:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def autocast_context(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return a mixed-precision context: bfloat16 on CUDA devices with native support.

    Never on CPUs: without bfloat16 units autocast is several times slower than float32.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()
