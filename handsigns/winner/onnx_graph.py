"""ONNX graphs: writing a network as one, and running it with onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from handsigns.data.images import Pixels
from handsigns.errors import ResultsError
from handsigns.host import is_installed
from handsigns.latency import measure_latencies
from handsigns.results.environment import processor_name
from handsigns.results.exports import GraphProfile

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_BATCH_SIZE = 32
DYNAMIC_SHAPES = {"images": {0: torch.export.Dim("N", min=1)}}
"""Any number of images."""

RunGraph = Callable[[Pixels], npt.NDArray[np.float32]]
"""Function from images uint8 (N, size, size, 3) to probabilities (N, K)."""
Metadata = Mapping[str, Any]


def check_extra(alternative: str = "") -> None:
    """Check that the packages for ONNX are installed.

    Args:
        alternative: what can be done without them; empty: nothing.

    Raises:
        ResultsError: one is missing.
    """
    missing = [name for name in _PACKAGES if not is_installed(name)]
    if missing:
        remedy = "pip install 'handsigns[onnx]'" + (alternative and f"; or {alternative}")
        raise ResultsError(f"ONNX needs {', '.join(missing)}: {remedy}")


def write_onnx(
    network: nn.Module,
    size: int,
    metadata: Metadata,
    path: Path,
    alternative: str = "try --format torch-export",
) -> None:
    """Write a network as an ONNX graph with the input `images` and the output `probabilities`.

    Args:
        network: from images, uint8 (N, size, size, 3), to probabilities (N, K).
        size: height and width of the images in pixels.
        metadata: values for JSON; texts are stored as they are.
        path: the file to write.
        alternative: what can be done if ONNX has no equivalent of the network.

    Raises:
        ResultsError: ONNX has none.
    """
    try:
        program = torch.onnx.export(
            network,
            example_args(size),
            dynamic_shapes=DYNAMIC_SHAPES,
            input_names=["images"],
            output_names=["probabilities"],
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = first_line(error)
        raise ResultsError(f"the model has no ONNX graph ({reason}); {alternative}") from error
    assert program is not None  # it is None only with dynamo=False
    for node in program.model.graph.all_nodes():
        # Stack traces, with paths of this machine, make up an eighth of a small file.
        node.metadata_props.clear()
    for name, value in metadata.items():
        program.model.metadata_props[name] = value if isinstance(value, str) else json.dumps(value)
    program.save(path, external_data=False)


def first_line(error: Exception) -> str:
    """Return the first line of an exporter's error, of which the others are internals."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def open_onnx(path: Path) -> RunGraph:
    """Return a function that runs an ONNX graph, on all CPUs."""
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: Pixels) -> npt.NDArray[np.float32]:
        (probs,) = session.run(["probabilities"], {"images": images})
        return np.asarray(probs)

    return run


def profile_graphs(paths: Sequence[Path]) -> list[GraphProfile]:
    """Return file size and latency of ONNX graphs; see `measure_latencies`."""
    return [
        GraphProfile(path.stat().st_size, latency, processor_name())
        for path, latency in zip(paths, measure_latencies(paths), strict=True)
    ]


def image_batches(images: Pixels) -> list[Pixels]:
    """Split images into batches for a graph, sharing their memory."""
    return [images[i : i + _BATCH_SIZE] for i in range(0, len(images), _BATCH_SIZE)]


def example_args(size: int) -> tuple[Tensor]:
    """Return arguments to trace a graph: two images, as one would fix the batch size."""
    return (torch.zeros((2, size, size, 3), dtype=torch.uint8),)
