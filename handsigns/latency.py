"""Latency of ONNX graphs on this machine, for a single image on one CPU thread.

Imports nothing else of the package: the file runs on any device that has onnxruntime.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = 20
"""Successive runs of a graph: enough that what the last graph left in the caches hardly counts."""
_MAX_BLOCKS = 20
_SECONDS = 2.0
"""Time after which no further block begins."""


@dataclass(frozen=True)
class Latency:
    """Latency of a graph for a single image, on one CPU thread.

    Attributes:
        median_ms: median in milliseconds.
        p95_ms: 95th percentile in milliseconds.
        runs: number of measured runs.
    """

    median_ms: float
    p95_ms: float
    runs: int


def measure_latencies(graphs: Sequence[Path]) -> list[Latency]:
    """Measure the latency of each graph, in alternating blocks of runs.

    Since the graphs alternate, other load on the machine affects all of them alike. The first block
    of each is a warm-up.

    Args:
        graphs: ONNX files with one input, uint8 (N, H, W, 3), where N is any number.
    """
    runs = [_single_image_run(graph) for graph in graphs]
    for run in runs:
        _time_block(run)
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + _SECONDS
    for block in range(_MAX_BLOCKS):
        if block and time.perf_counter() > end:
            break
        for run, measured in zip(runs, times, strict=True):
            measured += _time_block(run)
    return [_summarize(measured) for measured in times]


def _single_image_run(graph: Path) -> Callable[[], Any]:
    """Return a function that runs a graph on one image of noise."""
    import numpy as np
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (images,) = session.get_inputs()
    image = np.random.default_rng(0).integers(0, 256, (1, *images.shape[1:]), dtype=np.uint8)
    return lambda: session.run(None, {images.name: image})


def _time_block(run: Callable[[], Any]) -> list[float]:
    """Return the seconds of each run of a block."""
    times = []
    for _ in range(_BLOCK):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times


def _summarize(seconds: Sequence[float]) -> Latency:
    p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    return Latency(
        median_ms=1000 * statistics.median(seconds), p95_ms=1000 * p95, runs=len(seconds)
    )
