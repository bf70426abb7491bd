"""Latency of ONNX graphs on this machine, for a single image on one CPU thread.

Imports nothing else of the package: the file runs on any device that has onnxruntime. There,
`python measure.py --out device.csv` times the graphs beside it, as `handsigns latency --export`
wrote them.
"""

from __future__ import annotations

import argparse
import csv
import platform
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
_GROUP = 8
"""Graphs of a table that are measured in alternation; more would fill the memory."""

NETWORKS_FILE = "networks.csv"
"""Table of the graphs in a folder: the column `file`, and others that are copied."""


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


def measure_folder(folder: Path, out: Path, report: Callable[[int, int], None]) -> None:
    """Measure the graphs that a folder's `NETWORKS_FILE` lists, and write them as a table.

    Args:
        folder: folder of the graphs.
        out: CSV file to write: the rows of the list with the columns ``latency_ms`` (median),
            ``p95_ms``, ``runs`` and ``device``.
        report: called with the numbers of measured and of all graphs.
    """
    with (folder / NETWORKS_FILE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for start in range(0, len(rows), _GROUP):
        report(start, len(rows))
        group = rows[start : start + _GROUP]
        latencies = measure_latencies([folder / Path(row["file"]).name for row in group])
        for row, latency in zip(group, latencies, strict=True):
            row["latency_ms"] = f"{latency.median_ms:.4g}"
            row["p95_ms"] = f"{latency.p95_ms:.4g}"
            row["runs"] = str(latency.runs)
            row["device"] = f"{platform.node()}, {platform.platform()}"
    temporary = out.with_name(f".{out.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(out)
    report(len(rows), len(rows))


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


def _main() -> None:
    parser = argparse.ArgumentParser(
        description="Time the ONNX graphs in the folder of this script, for a single image on one "
        "CPU thread. Needs onnxruntime alone."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("device.csv"), help="table to write (default: device.csv)"
    )
    parser.add_argument(
        "graphs", nargs="*", type=Path, help="graphs to time instead, without a table"
    )
    options = parser.parse_args()
    if options.graphs:
        for graph, latency in zip(options.graphs, measure_latencies(options.graphs), strict=True):
            print(f"{graph}: median {latency.median_ms:.3g} ms, p95 {latency.p95_ms:.3g} ms")
        return
    folder, out = Path(__file__).resolve().parent, options.out
    if out.is_dir() or not out.parent.is_dir():
        parser.error(
            f"--out: {out} is not a file in an existing folder; create the folder or name another "
            f"file"
        )
    networks = folder / NETWORKS_FILE
    if not networks.is_file() or len(networks.read_text(encoding="utf-8").splitlines()) < 2:
        parser.error(
            f"{networks} lists no graphs; copy the whole folder that handsigns latency --export "
            f"wrote"
        )
    measure_folder(
        folder,
        out,
        lambda done, total: print(f"measured {done} of {total} networks", flush=True),
    )
    print(f"written to {out}; name it in the search space: limits.latency_table")


if __name__ == "__main__":
    _main()
