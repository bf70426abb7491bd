"""Scaling of the driver: how many workers one search keeps busy, measured with no-op trials.

    python benchmarks/scale.py
    python benchmarks/scale.py --concurrent 8,64 --trials 5000 --json scale.json

Several Ray nodes are started on this machine, bound to loopback, and searches join them. First with
increasing numbers of concurrent trials: the time until all have reported, and the throughput of
reports when epochs take no time. Then a long search of short trials: whether throughput falls and
memory grows. The driver's CPU time is what counts, as the trials' processes share these cores with
it, which they would not on a cluster.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from harness import (
    Table,
    Target,
    at_least,
    at_most,
    events,
    finish,
    log_progress,
    make_parser,
    parse,
    resident_mib,
    temporary_folder,
    write_synthetic_images,
)
from memory import anonymous_memory

from handsigns.cluster.scratch import create_token
from handsigns.cluster.session import LOOPBACK_ONLY_ENV
from handsigns.io.event_log import EventReader

NODES = 4
LOOPBACK = "127.0.0.1"
SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-4, high: 1e-1}
  dropout: {type: uniform, low: 0.0, high: 0.5}
  weight_decay: {type: log_uniform, low: 1e-4, high: 1e-1}
scheduler: {name: asha, grace_period: 1, reduction_factor: 3}
searcher: {name: random}
"""
SETTINGS = {name: value for name, value in LOOPBACK_ONLY_ENV.items() if value is not None} | {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Prestarted workers would stay idle: trials ship our code, so each gets a new process.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
}
SLOW_MARKER = "slow"
"""File whose existence makes trials slow."""
NOOP_CLI = (sys.executable, str(Path(__file__).with_name("light.py")))
_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_TIMEOUT_S = 1800.0
"""Timeout until all concurrent trials have reported."""
_STOP_TIMEOUT_S = 300.0
"""Timeout of a search's end after SIGTERM."""


def main() -> int:
    """Measure and print the tables and targets."""
    parser = make_parser(__doc__ or "")
    parser.add_argument(
        "--concurrent", default="8,32", metavar="N,N", help="numbers of concurrent trials"
    )
    parser.add_argument(
        "--seconds", type=float, default=30, help="duration of full load for each number"
    )
    parser.add_argument("--trials", type=int, default=10_000, help="trials of the long search")
    args = parse(parser, concurrent="2", seconds=1, trials=100)
    concurrencies = [int(count) for count in args.concurrent.split(",")]
    if args.trials < 100:
        parser.error("--trials: at least 100, as each decile is measured")
    with temporary_folder() as folder:
        os.environ |= SETTINGS | {
            "RAY_AUTH_TOKEN_PATH": str(create_token(folder)),
            # Not the machine's default, where any other Ray would find this cluster's address.
            "RAY_TMPDIR": str(folder),
        }
        (folder / "space.yaml").write_text(SPACE)
        write_synthetic_images(folder / "few", {"train": 12, "val": 6, "test": 6}, 16, "png")
        loads = []
        with local_nodes(max(concurrencies)) as address:
            for count in concurrencies:
                log_progress(f"{count} concurrent trials")
                loads.append(measure_load(folder, address, count, args.seconds))
                log_progress(" | ".join(loads[-1]))
        # With spare CPUs, Tune would start processes for trials that end before those are ready.
        log_progress(f"{args.trials} trials of two epochs, two at a time")
        with local_nodes(NODES) as address:
            deciles, targets = many_trials(folder, address, args.trials, concurrent=2)
    title = f"Concurrent trials on {NODES} nodes of this machine"
    columns = (
        "concurrent trials", "time until all have reported, s", "driver CPU time of that, s",
        "reports per second", "driver CPU time, ms per report", "driver memory, MiB",
        "trial process, MiB",
    )  # fmt: skip
    return finish([Table(title, columns, loads), deciles], targets, args)


@contextmanager
def local_nodes(num_cpus: int) -> Iterator[str]:
    """Start a head node without CPUs and worker nodes that declare `num_cpus` in total."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "node_ip_address": LOOPBACK, "include_dashboard": False},
    )
    try:
        for _ in range(NODES):
            cpus = -(-num_cpus // NODES)
            cluster.add_node(
                num_cpus=cpus, node_ip_address=LOOPBACK, object_store_memory=80 * 2**20
            )
        yield cluster.address
    finally:
        cluster.shutdown()


@dataclass
class DriverMonitor:
    """Monitor of a search's driver process.

    Attributes:
        process: the process.
        output: its output.
        samples: Unix time in seconds, CPU time in seconds, and resident memory in MiB.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    samples: list[tuple[float, float, float]]

    def sample(self) -> None:
        """Add a sample of the process's current usage."""
        pid = self.process.pid
        self.samples.append((time.time(), _cpu_seconds(pid), resident_mib(pid)))

    def error(self) -> RuntimeError:
        """Return an error about an unexpected end, with the process's output."""
        self.output.seek(0)
        return RuntimeError(self.output.read().decode())

    def cpu_seconds(self, started: float, ended: float) -> float:
        """Return the CPU time used between two times."""
        times = [at for at, _, _ in self.samples]
        cpu_times = [seconds for _, seconds, _ in self.samples]
        first, last = np.interp([started, ended], times, cpu_times)
        return float(last - first)

    def peak_memory_mib(self, started: float, ended: float) -> float:
        """Return the peak resident memory between two times in MiB."""
        return max(
            (mib for at, _, mib in self.samples if started <= at <= ended), default=float("nan")
        )


@contextmanager
def search(folder: Path, address: str, name: str, *arguments: str) -> Iterator[DriverMonitor]:
    """Run a search of no-op trials, and terminate it at the end of the context."""
    command = [*NOOP_CLI, str(folder / SLOW_MARKER), "search", str(folder / "space.yaml")]
    command += ["--name", name]
    command += ["--data", str(folder / "few"), "--size", "16", "--results", str(folder)]
    command += ["--address", address, "--cpus-per-trial", "1", "--gpus-per-trial", "0"]
    command += ["--no-report"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*command, *arguments], stdout=output, stderr=output)
        driver = DriverMonitor(process, output, [])
        try:
            yield driver
            process.terminate()
            if process.wait(timeout=_STOP_TIMEOUT_S) not in (0, 130):
                raise driver.error()
        finally:
            process.kill()


def measure_load(folder: Path, address: str, count: int, seconds: float) -> tuple[str, ...]:
    """Measure a search whose trials only report, once all have started; return a table row."""
    name = f"load-{count}"
    journal = JournalFollower(folder / name / "journal.jsonl")
    settings = ("--trials", str(count), "--max-epochs", "100000", "--set", "scheduler.name=none",
                "--set", f"resources.max_concurrent_trials={count}")  # fmt: skip
    (folder / SLOW_MARKER).touch()
    with search(folder, address, name, *settings) as driver:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while len(journal.reporting) < count:
            if time.monotonic() > deadline:
                reporting = f"{len(journal.reporting)} of {count} trials"
                raise RuntimeError(f"after {_START_TIMEOUT_S:.0f} s only {reporting} have reported")
            _wait(driver, 0.2)
            journal.read()
        all_reported = time.time()
        (folder / SLOW_MARKER).unlink()
        while time.time() < all_reported + 2 + seconds:
            _wait(driver, 0.5)
        journal.read()
        trial_mib = [anonymous_memory([pid]) / 2**20 for pid in journal.processes]
    # At full load: the driver always has another report pending.
    started, ended = all_reported + 2, all_reported + 2 + seconds
    reports = sum(started <= at < ended for at in journal.times)
    cpu_seconds = driver.cpu_seconds(started, ended)
    return (
        str(count),
        f"{all_reported - journal.started:.1f}",
        f"{driver.cpu_seconds(journal.started, all_reported):.1f}",
        f"{reports / seconds:.0f}",
        f"{1000 * cpu_seconds / reports:.2f}",
        f"{driver.peak_memory_mib(started, ended):.0f}",
        f"{statistics.median(trial_mib):.0f}",
    )


class JournalFollower:
    """Incremental reader of a growing journal."""

    def __init__(self, path: Path) -> None:
        self._reader = EventReader(path)
        self.started = float("nan")
        """Unix time of the start of the first trial."""
        self.reporting: set[str] = set()
        self.times: list[float] = []
        self.processes: set[int] = set()

    def read(self) -> None:
        """Read the new events."""
        for event in self._reader.read_new():
            if event["event"] == "trial_started" and math.isnan(self.started):
                self.started = event["time"]
            elif event["event"] == "epoch":
                self.reporting.add(event["trial_id"])
                self.times.append(event["time"])
                self.processes.add(int(event["node"].rpartition("/")[2]))


def many_trials(
    folder: Path, address: str, trials: int, concurrent: int
) -> tuple[Table, list[Target]]:
    """Measure a long search of short trials by deciles."""
    settings = ("--trials", str(trials), "--max-epochs", "2",
                "--set", f"resources.max_concurrent_trials={concurrent}")  # fmt: skip
    with search(folder, address, "many", *settings) as driver:
        while driver.process.poll() is None:
            _wait(driver, 1.0, may_end=True)
    journal = folder / "many" / "journal.jsonl"
    starts = [event["time"] for event in events(journal) if event["event"] == "trial_started"]
    rows, targets = by_decile(starts, driver, concurrent)
    columns = (
        "trials", "trials per second", "driver CPU time, ms per trial", "driver memory, MiB"
    )  # fmt: skip
    size = journal.stat().st_size / 2**20
    title = (
        f"{trials} trials of at most two epochs, {concurrent} at a time (journal: {size:.0f} MiB)"
    )
    return Table(title, columns, rows), targets


def by_decile(
    starts: Sequence[float], driver: DriverMonitor, concurrent: int
) -> tuple[list[tuple[str, ...]], list[Target]]:
    """Measure each decile of a long search, and compare the last with the first.

    Args:
        starts: start of each trial, in seconds since the Unix epoch.
        driver: monitor with samples of the driver during that time.
        concurrent: number of concurrent trials; the first ones wait for their processes, which
            belongs to the startup.
    """
    trials = len(starts)
    marks = [concurrent, *(trials * decile // 10 for decile in range(1, 11))]
    rows: list[tuple[str, ...]] = []
    rates, cpu_ms, memory = [], [], []
    for low, high in pairwise(marks):
        started, ended = starts[low - 1], starts[high - 1]
        rates.append((high - low) / (ended - started))
        cpu_ms.append(1000 * driver.cpu_seconds(started, ended) / (high - low))
        memory.append(driver.peak_memory_mib(started, ended))
        figures = (f"{rates[-1]:.1f}", f"{cpu_ms[-1]:.1f}", f"{memory[-1]:.0f}")
        rows.append((f"{low} to {high}", *figures))
    growth_kib = 1024 * (memory[-1] - memory[0]) / (marks[-1] - marks[1])
    cpu_ratio, rate_ratio = cpu_ms[-1] / cpu_ms[0], rates[-1] / rates[0]
    return rows, [
        at_most("CPU time per trial in the last decile relative to the first", cpu_ratio, 1.5),
        at_least("throughput in the last decile relative to the first", rate_ratio, 0.75),
        at_most("driver memory growth per trial, KiB", growth_kib, 100),
    ]


def _wait(driver: DriverMonitor, seconds: float, *, may_end: bool = False) -> None:
    time.sleep(seconds)
    driver.sample()
    if driver.process.poll() is not None and not may_end:
        raise driver.error()


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process that has not been reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_PER_S


if __name__ == "__main__":
    sys.exit(main())
