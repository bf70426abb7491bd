"""The winner as one graph, from pictures to class probabilities, for programs without handsigns.

The graph takes `pictures`, uint8 (N, size, size, 3), RGB, for any N, and gives `probabilities`,
float32 (N, K). Its metadata name the classes and say where the model came from.
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

from handsigns.data.images import Pixels, preparation
from handsigns.errors import ResultsError
from handsigns.io.atomic import replacing
from handsigns.results.winner import ModelCard
from handsigns.training.augment import normalize
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model

Format = Literal["onnx", "torch-export"]
FORMATS: tuple[Format, ...] = get_args(Format)
FILES: dict[Format, str] = {"onnx": "model.onnx", "torch-export": "model.pt2"}
TOLERANCE = 1e-4
"""Of a probability. Other programs add in other orders; float32 keeps about seven digits."""
METADATA_FILE = "handsigns.json"
"""Inside a `.pt2`."""

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_BATCH = 32

Run = Callable[[Pixels], npt.NDArray[np.float32]]
"""Probabilities (N, K) of pictures."""


class _Whole(nn.Module):
    """The model with what comes before and after it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.model(normalize(pictures))
        return logits.float().softmax(1)


def check_extra(form: Format) -> None:
    """See that what a format takes is installed.

    Raises:
        ResultsError: it is not.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if form == "onnx" and missing:
        raise ResultsError(
            f"ONNX needs {', '.join(missing)}: pip install 'handsigns[onnx]'; or use "
            f"--format torch-export"
        )


def export_winner(
    winner: Path, form: Format, out: Path, pictures: Pixels, *, allow_own_code: bool = False
) -> float:
    """Write the model in the folder `winner` as one graph, checked against the model itself.

    Args:
        winner: folder of the retrained model.
        form: `FORMATS`.
        out: the file to write; one already there is replaced whole.
        pictures: uint8 (N, size, size, 3), N at least 1, on which the two are compared.
        allow_own_code: see `load_model`.

    Returns:
        the largest difference between two probabilities, at most `TOLERANCE`.

    Raises:
        ResultsError: there is no whole model, or the graph differs; nothing is written then.
    """
    model, card = load_model(winner, torch.device("cpu"), allow_own_code=allow_own_code)
    # Weights lie in the usual order there; channels last is for training.
    plain = copy.deepcopy(model).requires_grad_(False).to(memory_format=torch.contiguous_format)
    whole = _Whole(plain).eval()
    write = _write_onnx if form == "onnx" else _write_torch
    with replacing(out) as temporary:
        difference = _compare(model, write(whole, card, temporary), pictures)
        if not difference <= TOLERANCE:
            raise ResultsError(
                f"the {form} graph of {winner} differs from the model: a probability by "
                f"{difference:.2g}, where {TOLERANCE:g} is allowed; {out} was not written"
            )
    return difference


def _compare(model: nn.Module, run: Run, pictures: Pixels) -> float:
    """On the first picture alone, then on all in batches."""
    largest = 0.0
    for images in (pictures[:1], *_batches(pictures)):
        own = predict_logits(model, torch.tensor(images)).softmax(1).numpy()
        difference = float(np.abs(own - run(images)).max())
        largest = max(largest, math.inf if math.isnan(difference) else difference)
    return largest


def _batches(pictures: Pixels) -> list[Pixels]:
    return [pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH)]


def _write_torch(whole: _Whole, card: ModelCard, path: Path) -> Run:
    program = torch.export.export(whole, *_example(card), dynamic_shapes=_dynamic())
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={METADATA_FILE: json.dumps(_metadata(card))})
    path.write_bytes(content.getvalue())
    # The program in memory: to load its file again may run what the file says.
    graph = program.module()

    def run(images: Pixels) -> npt.NDArray[np.float32]:
        shares: npt.NDArray[np.float32] = graph(torch.tensor(images)).numpy()
        return shares

    return run


def _write_onnx(whole: _Whole, card: ModelCard, path: Path) -> Run:
    import onnxruntime  # type: ignore[import-untyped]

    try:
        program = torch.onnx.export(
            whole,
            *_example(card),
            dynamic_shapes=_dynamic(),
            input_names=["pictures"],
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
        (shares,) = session.run(["probabilities"], {"pictures": images})
        return np.asarray(shares)

    return run


def _example(card: ModelCard) -> tuple[tuple[Tensor]]:
    """Arguments to trace the graph with; two pictures, as one would fix their number."""
    return ((torch.zeros((2, card.size, card.size, 3), dtype=torch.uint8),),)


def _dynamic() -> dict[str, Any]:
    return {"pictures": {0: torch.export.Dim("N", min=1)}}


def _metadata(card: ModelCard) -> dict[str, Any]:
    """The model's card, and what the graph takes and gives."""
    return card.fields() | {
        "input": f"pictures: uint8 (N, {card.size}, {card.size}, 3), RGB",
        "preparation": preparation(card.size),
        "output": f"probabilities: float32 (N, {len(card.classes)}), in the order of classes",
    }
