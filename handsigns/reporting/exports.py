"""Size, latency and accuracy of the winner's ONNX graphs, for the terminal and the model card."""

from __future__ import annotations

from dataclasses import dataclass

from handsigns.console.format import format_bytes, percent, pluralize
from handsigns.results.exports import GraphProfile, Int8Export


@dataclass(frozen=True)
class GraphTable:
    """Table of graphs, and notes on it.

    Attributes:
        columns: names of the columns; the first column is text.
        rows: cells of each row.
        notes: sentences.
    """

    columns: tuple[str, ...]
    rows: list[list[str]]
    notes: list[str]


_COLUMNS = ("graph", "file", "latency, median", "95th percentile")


def onnx_table(profile: GraphProfile) -> GraphTable:
    """Describe a float32 graph."""
    return GraphTable(_COLUMNS, [_row("float32", profile)], [_latency_note(profile)])


def int8_table(export: Int8Export) -> GraphTable:
    """Compare an int8 graph with the float32 graph."""
    rows = [
        [*_row("float32", export.float32), _accuracy(export.float32_correct, export.num_val)],
        [*_row("int8", export.int8), _accuracy(export.int8_correct, export.num_val)],
    ]
    notes = [
        _latency_note(export.int8),
        f"int8 changes a probability by at most {export.max_probability_change:.2g} on the "
        f"validation images. The model was trained on these, too, so that only the difference "
        f"between the accuracies matters. The ranges of int8 are those on "
        f"{pluralize(export.num_calibration, 'training image')}.",
    ]
    return GraphTable((*_COLUMNS, "validation accuracy"), rows, notes)


def _row(name: str, profile: GraphProfile) -> list[str]:
    latency = profile.latency
    times = (f"{value:.3g} ms" for value in (latency.median_ms, latency.p95_ms))
    return [name, format_bytes(profile.file_bytes), *times]


def _accuracy(correct: int, total: int) -> str:
    return f"{percent(correct / total)} ({correct}/{total})"


def _latency_note(profile: GraphProfile) -> str:
    return (
        f"Latency is that of a single image on one CPU thread ({profile.processor}), in "
        f"{profile.latency.runs} runs."
    )
