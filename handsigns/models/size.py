"""Size of a configuration's network, counted without training it."""

from __future__ import annotations

import contextlib

import torch

from handsigns.config.hyperparameters import ARCHITECTURES, TrialConfig
from handsigns.config.user_code import UserCode
from handsigns.models import build_model

GRAPH_BYTES = 16_000
"""Bytes of an ONNX file beside its weights: of a compact network's graph with its metadata."""


def count_parameters(
    config: TrialConfig, classes: int, size: int, user_code: UserCode | None = None
) -> tuple[int, int]:
    """Count the parameters of a configuration's network.

    Args:
        config, classes, size, user_code: see `build_model`.

    Returns:
        number of parameters; predicted bytes of the float32 ONNX file: four for each
        parameter and each value of a floating-point buffer, such as a statistic of batch norm, and
        `GRAPH_BYTES`.

    Raises:
        ConfigError: see `build_model`.
    """
    # Others may be initialised by values, which the meta device does not have.
    on_meta = config.architecture in ARCHITECTURES
    with (
        torch.device("meta") if on_meta else contextlib.nullcontext(),
        torch.random.fork_rng(devices=[]),
    ):
        model = build_model(config, classes, size, user_code)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    buffers = sum(b.numel() for b in model.buffers() if b.is_floating_point())
    return parameters, 4 * (parameters + buffers) + GRAPH_BYTES
