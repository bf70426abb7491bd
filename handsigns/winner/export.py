"""Export of the winner as one graph, from images to class probabilities, to run without handsigns.

The graph takes `images`, uint8 (N, size, size, 3), RGB, for any N, and returns `probabilities`,
float32 (N, K). Its metadata contain the class names and the model's provenance.
"""

from __future__ import annotations

import copy
import io
import json
import math
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode, recorded_digest
from handsigns.data.images import Pixels, preprocessing
from handsigns.errors import ResultsError
from handsigns.models import build_model, inference_model
from handsigns.results.winner import ModelCard
from handsigns.training.augment import normalize
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model
from handsigns.winner.onnx_graph import (
    DYNAMIC_SHAPES,
    Metadata,
    RunGraph,
    example_args,
    first_line,
    image_batches,
    open_onnx,
    write_onnx,
)

ExportFormat = Literal["onnx", "torch-export"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
DEFAULT_FILE_NAMES: dict[ExportFormat, str] = {"onnx": "model.onnx", "torch-export": "model.pt2"}
TOLERANCE = 1e-4
"""Largest difference allowed in a probability; runtimes sum float32 values in other orders."""
METADATA_FILE = "handsigns.json"
"""Name of the metadata file inside a `.pt2`."""


class _ExportModule(nn.Module):
    """Model with normalisation before it and softmax after it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(normalize(images))
        return logits.float().softmax(1)


def export_winner(
    winner: Path,
    export_format: ExportFormat,
    out: Path,
    images: Pixels,
    *,
    trust_user_code: bool = False,
) -> float:
    """Write the model in the folder `winner` as one graph, verified against the model itself.

    Args:
        winner: folder of the retrained model.
        export_format: one of `FORMATS`.
        out: the temporary file to write, which an error may leave behind.
        images: uint8 (N, size, size, 3), N at least 1, on which the two are compared.
        trust_user_code: see `load_model`.

    Returns:
        the largest difference between two probabilities, at most `TOLERANCE`.

    Raises:
        ResultsError: the model is missing or damaged, has no equivalent in that format, or the
            graph differs.
    """
    model, card = load_model(winner, torch.device("cpu"), trust_user_code=trust_user_code)
    # The graph uses the default memory format; channels last is for training.
    plain = copy.deepcopy(model).requires_grad_(False).to(memory_format=torch.contiguous_format)
    wrapped = _ExportModule(plain).eval()
    metadata = _metadata(card)
    if export_format == "onnx":
        write_onnx(wrapped, card.size, metadata, out)
        run = open_onnx(out)
    else:
        run = _export_torch(wrapped, card.size, metadata, out)
    difference = _max_difference(model, run, images)
    if not difference <= TOLERANCE:
        raise ResultsError(
            f"the {export_format} graph of {winner} differs from the model: a probability by "
            f"{difference:.2g} (tolerance {TOLERANCE:g}); no graph was written"
        )
    return difference


def write_untrained(
    config: TrialConfig, classes: int, size: int, user_code: UserCode | None, out: Path
) -> None:
    """Write the ONNX graph of a configuration's untrained network, as fast as a trained one.

    Args:
        config, classes, size, user_code: see `build_model`.
        out: the file to write.

    Raises:
        ConfigError: see `build_model`.
        ResultsError: ONNX has no equivalent of the network.
    """
    with torch.random.fork_rng(devices=[]):
        model = inference_model(build_model(config, classes, size, user_code), config)
    plain = model.requires_grad_(False).to(memory_format=torch.contiguous_format)
    alternative = f"leave {config.architecture} out of the space"
    write_onnx(_ExportModule(plain).eval(), size, {}, out, alternative)


def _max_difference(model: nn.Module, run: RunGraph, images: Pixels) -> float:
    """Return the largest difference on the first image alone and on all in batches."""
    largest = 0.0
    for batch in (images[:1], *image_batches(images)):
        expected = predict_logits(model, torch.tensor(batch)).softmax(1).numpy()
        difference = float(np.abs(expected - run(batch)).max())
        largest = max(largest, math.inf if math.isnan(difference) else difference)
    return largest


def _export_torch(wrapped: _ExportModule, size: int, metadata: Metadata, path: Path) -> RunGraph:
    try:
        program = torch.export.export(wrapped, example_args(size), dynamic_shapes=DYNAMIC_SHAPES)
    except Exception as error:  # of many types, also from within a user-defined network
        raise ResultsError(
            f"torch.export has no equivalent of the model ({first_line(error)}); change its code, "
            f"such as branches that depend on values of tensors"
        ) from error
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={METADATA_FILE: json.dumps(metadata)})
    path.write_bytes(content.getvalue())
    # The program in memory: loading the file may run code in it.
    graph = program.module()

    def run(images: Pixels) -> npt.NDArray[np.float32]:
        probs: npt.NDArray[np.float32] = graph(torch.tensor(images)).numpy()
        return probs

    return run


def _metadata(card: ModelCard) -> Metadata:
    """Return the model card with the graph's input, preprocessing and output.

    Of user code it has the digests; the paths of its files would say where the model was trained.
    """
    return card.to_dict() | {
        "user_code": {
            name: {"digest": recorded_digest(card.user_code, name)} for name in card.user_code
        },
        "input": f"images: uint8 (N, {card.size}, {card.size}, 3), RGB",
        "preprocessing": preprocessing(card.size),
        "output": f"probabilities: float32 (N, {len(card.classes)}), in the order of classes",
    }
