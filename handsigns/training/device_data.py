"""Images and labels on the device of a training run."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor

from handsigns.data.splits import Split


def split_to_device(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return images uint8 (N, H, W, 3) and labels int64 (N,); they are never modified.

    On the CPU they share the split's memory: batches are gathered by index, which copies. On other
    devices read-only splits, such as those that the trials of a process share, are copied once.
    """
    if device.type == "cpu":
        return as_tensors(split)
    if split.images.flags.writeable or split.labels.flags.writeable:
        return _copy_to(split, device)
    return _cached_copy_to(_SharedSplit(split.images.ctypes.data, len(split), split), device)


@dataclass(frozen=True)
class _SharedSplit:
    """Split in read-only memory, identified by its address.

    Keeping `split` in the cache keeps its memory from being reused for another one.
    """

    address: int
    num_images: int
    split: Split = field(compare=False)


@functools.lru_cache(maxsize=2)  # training and validation split
def _cached_copy_to(shared: _SharedSplit, device: torch.device) -> tuple[Tensor, Tensor]:
    return _copy_to(shared.split, device)


def _copy_to(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    images, labels = as_tensors(split)
    return images.to(device), labels.to(device)


def as_tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Return images and labels as tensors that share the split's memory."""
    with warnings.catch_warnings():
        # Read-only on purpose: it protects other trials, which share the pages.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(split.images), torch.from_numpy(split.labels)
