"""Batched augmentation on the training device.

Each image is transformed independently, by numbers drawn beforehand. Images are normalised first;
geometry is then one affine resampling, and colour one affine map of the channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from handsigns.config.hyperparameters import TrialConfig

_LUMA = (0.299, 0.587, 0.114)
_MEAN, _STD = 0.5, 0.25
"""Normalisation of channel values in [0, 1]; constant, so that a model needs no data statistics."""


def normalize(images: Tensor) -> Tensor:
    """Convert uint8 images (B, H, W, 3) to float32 (B, 3, H, W), channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).sub_(255 * _MEAN).div_(255 * _STD)


@dataclass(frozen=True)
class AugmentationDraws:
    """Random draws of an augmentation, for batches of B images.

    All have the same leading dimensions, such as the steps of an epoch; what the configuration does
    not use is None.

    Attributes:
        affine: maps from output to input coordinates (..., B, 2, 3), in units of half the image.
        mirrored: bool (..., B), images to mirror; None if `affine` does it.
        color: factors of brightness, contrast and saturation (..., 3, B, 1, 1, 1).
    """

    affine: Tensor | None
    mirrored: Tensor | None
    color: Tensor | None

    def map(self, function: Callable[[Tensor], Tensor]) -> AugmentationDraws:
        """Apply a function to each tensor."""
        return AugmentationDraws(
            *(
                None if draws is None else function(draws)
                for draws in (self.affine, self.mirrored, self.color)
            )
        )


def draw_augmentation(
    config: TrialConfig, steps: int, batch_size: int, generator: torch.Generator
) -> AugmentationDraws:
    """Draw the augmentation of several batches at once.

    Args:
        config: gives the strengths; with all 0 nothing is drawn.
        steps: number of batches, the first dimension of each tensor.
        batch_size: images per batch.
        generator: CPU generator, the only source of randomness.
    """
    affine = mirrored = color = None
    if config.rotation or config.scale or config.translation:
        affine = _affine_matrices((steps, batch_size), config, generator)
    elif config.flip:
        mirrored = _uniform((steps, batch_size), 0, 1, generator) < config.flip
    if config.color_jitter:
        shape = (steps, 3, batch_size, 1, 1, 1)
        color = 1 + config.color_jitter * _uniform(shape, -1, 1, generator)
    return AugmentationDraws(affine, mirrored, color)


def augment(images: Tensor, draws: AugmentationDraws) -> Tensor:
    """Augment and normalise each image.

    Args:
        images: uint8 (B, H, W, 3); not modified.
        draws: draws for this batch, without leading dimensions, on the device of the images.

    Returns:
        float32 (B, 3, H, W), normalised, channels last in memory.
    """
    x = normalize(images)
    if draws.affine is not None:
        x = _resample(x, draws.affine)
    elif draws.mirrored is not None:
        x = torch.where(draws.mirrored[:, None, None, None], x.flip(3), x)
    if draws.color is not None:
        x = _jitter_colors(x.contiguous(), draws.color)
    return x.contiguous(memory_format=torch.channels_last)


def _affine_matrices(
    shape: tuple[int, int], config: TrialConfig, generator: torch.Generator
) -> Tensor:
    """Sample affine maps (*shape, 2, 3); see `AugmentationDraws.affine`."""
    angle = _uniform(shape, -1, 1, generator) * math.radians(config.rotation)
    zoom = 1 / (1 + _uniform(shape, -1, 1, generator) * config.scale)
    shift = _uniform((*shape, 2), -1, 1, generator) * (2 * config.translation)
    mirror = torch.where(_uniform(shape, 0, 1, generator) < config.flip, -1.0, 1.0)
    cos, sin = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rows = (mirror * cos, -mirror * sin, shift[..., 0], sin, cos, shift[..., 1])
    return torch.stack(rows, dim=-1).view(*shape, 2, 3)


def _resample(x: Tensor, matrices: Tensor) -> Tensor:
    """Apply an affine map (B, 2, 3) to each image; the result is not channels last."""
    grid = _affine_grid(matrices, *x.shape[2:])
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _affine_grid(matrices: Tensor, height: int, width: int) -> Tensor:
    """Compute `F.affine_grid` in a sixth of its time, by an outer sum in place of a product."""
    ys = (2 * torch.arange(height, device=matrices.device) + 1) / height - 1
    xs = (2 * torch.arange(width, device=matrices.device) + 1) / width - 1
    grid = matrices.new_empty(len(matrices), height, width, 2)
    for axis in range(2):
        by_x, by_y, shift = matrices[:, axis, :, None].unbind(1)
        rows = torch.addcmul(shift, by_y, ys)
        torch.add(rows[:, :, None], (by_x * xs)[:, None, :], out=grid[..., axis])
    return grid


def _jitter_colors(x: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast about the image's mean and saturation by factors (3, B, 1, 1, 1).

    Separate colour planes are scaled several times faster than channels-last images.
    """
    brightness, contrast, saturation = factors
    red, green, blue = _LUMA
    gray = (x[:, :1] * red).add_(x[:, 1:2], alpha=green).add_(x[:, 2:], alpha=blue)
    mean = gray.mean((2, 3), keepdim=True)
    gain = brightness * contrast
    # In normalised values black is -mean/std, so a change of brightness also shifts.
    offset = mean * (1 - contrast) * brightness + (brightness - 1) * (_MEAN / _STD)
    mixed: Tensor = (x * (gain * saturation)).add_(gray.mul_(gain * (1 - saturation)).add_(offset))
    return mixed


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low
