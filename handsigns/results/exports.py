"""Measurements of the winner's exported ONNX graphs: ``onnx.json`` and ``onnx_int8.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from handsigns.io.json_file import read_json, write_json
from handsigns.latency import Latency
from handsigns.results.paths import SearchPaths
from handsigns.results.winner import Count
from handsigns.stats.calibration import Share

ONNX_FILE = "onnx.json"
INT8_FILE = "onnx_int8.json"
"""File names in the folder of a winner."""

T = TypeVar("T")


@dataclass(frozen=True)
class GraphProfile:
    """Size and speed of an ONNX graph.

    Attributes:
        file_bytes: size of its file.
        latency: latency for a single image.
        processor: processor on which the latency was measured.
    """

    file_bytes: Count
    latency: Latency
    processor: str


@dataclass(frozen=True)
class Int8Export:
    """Comparison of the graph quantised to int8 with the float32 graph.

    Attributes:
        float32, int8: profiles of the two graphs, whose latencies were measured in alternation.
        num_calibration: number of training images that calibrated the ranges of the activations.
        num_val: number of images in the validation split, on which the graphs were compared.
        float32_correct, int8_correct: images that each graph classifies correctly.
        max_probability_change: largest absolute difference between two probabilities.
    """

    float32: GraphProfile
    int8: GraphProfile
    num_calibration: Count
    num_val: Annotated[int, Field(ge=1)]
    float32_correct: Count
    int8_correct: Count
    max_probability_change: Share

    @property
    def accuracy_drop(self) -> float:
        """Accuracy lost by the quantisation; negative if it rises."""
        return (self.float32_correct - self.int8_correct) / self.num_val


def write_onnx_profile(folder: Path, profile: GraphProfile) -> None:
    """Write the profile of the float32 graph of the winner in `folder`."""
    write_json(folder / ONNX_FILE, asdict(profile))


def read_onnx_profile(folder: Path) -> GraphProfile | None:
    """Read the profile of the float32 graph of the winner in `folder`; None if there is none.

    Raises:
        ResultsError: the file is damaged.
    """
    return _read(folder / ONNX_FILE, GraphProfile)


def write_int8_export(folder: Path, export: Int8Export) -> None:
    """Write the comparison of the int8 graph of the winner in `folder`."""
    write_json(folder / INT8_FILE, asdict(export))


def read_int8_export(folder: Path) -> Int8Export | None:
    """Read the comparison of the int8 graph of the winner in `folder`; None if there is none.

    Raises:
        ResultsError: the file is damaged.
    """
    return _read(folder / INT8_FILE, Int8Export, "--int8")


def _read(path: Path, kind: type[T], *options: str) -> T | None:
    paths = SearchPaths(path.parent.parent)
    export = paths.command("export", "--format", "onnx", *options, *paths.trust_options)
    try:
        return read_json(path, kind, f"export again: {export}")
    except FileNotFoundError:
        return None
