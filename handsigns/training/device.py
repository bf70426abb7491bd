"""Device and precision of a training run."""

from __future__ import annotations

import contextlib
import gc
import traceback
from collections.abc import Iterator
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


def configure_cuda() -> None:
    """Restrict cuDNN to deterministic algorithms, so that a GPU repeats a training exactly."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def describe_device(device: torch.device) -> str:
    """Return the type of a device and, of a GPU, its name: ``cuda NVIDIA H200``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return f"{device.type} {name}".strip()


def autocast_context(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return a mixed-precision context: bfloat16 on CUDA devices with native support.

    Never on CPUs: without bfloat16 units autocast is several times slower than float32.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        # A cached cast would be missing from a CUDA graph that is captured later.
        return torch.autocast("cuda", torch.bfloat16, cache_enabled=False)
    return contextlib.nullcontext()


@contextlib.contextmanager
def local_torch_state(threads: int, device: torch.device) -> Iterator[None]:
    """Use this many CPU threads; restore their number and the random state of the user."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads_before)


@contextlib.contextmanager
def release_gpu_memory() -> Iterator[None]:
    """Return the GPU memory of what was trained in this context, for the next trial's process."""
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # their variables hold tensors
        raise
    finally:
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            gc.collect()
            torch._C._cuda_clearCublasWorkspaces()  # one per stream, in some releases of torch
            torch.cuda.empty_cache()
