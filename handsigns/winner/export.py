"""Export of the winner as one graph, from images to class probabilities, to run without handsigns.

The graph takes `images`, uint8 (N, size, size, 3), RGB, for any N, and returns `probabilities`,
float32 (N, K). Its metadata contain the class names and the model's provenance.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from handsigns.data.images import Pixels, preprocessing
from handsigns.errors import ResultsError
from handsigns.io.atomic import atomic_write
from handsigns.results.winner import ModelCard
from handsigns.training.augment import normalize
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model

ExportFormat = Literal["onnx", "torch-export"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
DEFAULT_FILE_NAMES: dict[ExportFormat, str] = {"onnx": "model.onnx", "torch-export": "model.pt2"}
TOLERANCE = 1e-4
"""Largest difference allowed in a probability; runtimes sum float32 values in other orders."""
METADATA_FILE = "handsigns.json"
"""Name of the metadata file inside a `.pt2`."""

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_BATCH_SIZE = 32

RunModel = Callable[[Pixels], npt.NDArray[np.float32]]
"""Function from images to probabilities (N, K)."""


class _ExportModule(nn.Module):
    """Model with normalisation before it and softmax after it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(normalize(images))
        return logits.float().softmax(1)


def check_extra(export_format: ExportFormat) -> None:
    """Check that the packages of a format are installed.

    Raises:
        ResultsError: one is missing.
    """
    missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if export_format == "onnx" and missing:
        raise ResultsError(
            f"ONNX needs {', '.join(missing)}: pip install 'handsigns[onnx]'; or use "
            f"--format torch-export"
        )


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
        out: the file to write; an existing one is replaced atomically.
        images: uint8 (N, size, size, 3), N at least 1, on which the two are compared.
        trust_user_code: see `load_model`.

    Returns:
        the largest difference between two probabilities, at most `TOLERANCE`.

    Raises:
        ResultsError: the model is missing or damaged, or the graph differs; nothing is written.
    """
    model, card = load_model(winner, torch.device("cpu"), trust_user_code=trust_user_code)
    # The graph uses the default memory format; channels last is for training.
    plain = copy.deepcopy(model).requires_grad_(False).to(memory_format=torch.contiguous_format)
    wrapped = _ExportModule(plain).eval()
    write = _export_onnx if export_format == "onnx" else _export_torch
    with atomic_write(out) as temporary:
        difference = _max_difference(model, write(wrapped, card, temporary), images)
        if not difference <= TOLERANCE:
            raise ResultsError(
                f"the {export_format} graph of {winner} differs from the model: a probability by "
                f"{difference:.2g} (tolerance {TOLERANCE:g}); {out} was not written"
            )
    return difference


def _max_difference(model: nn.Module, run: RunModel, images: Pixels) -> float:
    """Return the largest difference on the first image alone and on all in batches."""
    largest = 0.0
    for batch in (images[:1], *_batches(images)):
        expected = predict_logits(model, torch.tensor(batch)).softmax(1).numpy()
        difference = float(np.abs(expected - run(batch)).max())
        largest = max(largest, math.inf if math.isnan(difference) else difference)
    return largest


def _batches(images: Pixels) -> list[Pixels]:
    return [images[i : i + _BATCH_SIZE] for i in range(0, len(images), _BATCH_SIZE)]


def _export_torch(wrapped: _ExportModule, card: ModelCard, path: Path) -> RunModel:
    program = torch.export.export(wrapped, *_example_args(card), dynamic_shapes=_dynamic_shapes())
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={METADATA_FILE: json.dumps(_metadata(card))})
    path.write_bytes(content.getvalue())
    # The program in memory: loading the file may run code in it.
    graph = program.module()

    def run(images: Pixels) -> npt.NDArray[np.float32]:
        probs: npt.NDArray[np.float32] = graph(torch.tensor(images)).numpy()
        return probs

    return run


def _export_onnx(wrapped: _ExportModule, card: ModelCard, path: Path) -> RunModel:
    import onnxruntime  # type: ignore[import-untyped]

    try:
        program = torch.onnx.export(
            wrapped,
            *_example_args(card),
            dynamic_shapes=_dynamic_shapes(),
            input_names=["images"],
            output_names=["probabilities"],
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().split("\n")[0]
        raise ResultsError(
            f"{card.config.architecture} has no ONNX graph ({reason}); use --format torch-export"
        ) from error
    assert program is not None  # it is None only with dynamo=False
    for name, value in _metadata(card).items():
        program.model.metadata_props[name] = value if isinstance(value, str) else json.dumps(value)
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: Pixels) -> npt.NDArray[np.float32]:
        (probs,) = session.run(["probabilities"], {"images": images})
        return np.asarray(probs)

    return run


def _example_args(card: ModelCard) -> tuple[tuple[Tensor]]:
    """Return arguments to trace the graph: two images, as one would fix the batch size."""
    return ((torch.zeros((2, card.size, card.size, 3), dtype=torch.uint8),),)


def _dynamic_shapes() -> dict[str, Any]:
    return {"images": {0: torch.export.Dim("N", min=1)}}


def _metadata(card: ModelCard) -> dict[str, Any]:
    """Return the model card with the graph's input, preprocessing and output."""
    return card.to_dict() | {
        "input": f"images: uint8 (N, {card.size}, {card.size}, 3), RGB",
        "preprocessing": preprocessing(card.size),
        "output": f"probabilities: float32 (N, {len(card.classes)}), in the order of classes",
    }
