"""How many workers one search can keep busy: its driver beside trials that train nothing.

    python benchmarks/scale.py
    python benchmarks/scale.py --at-once 8,64 --trials 5000 --json scale.json

Several Ray nodes are started on this machine, which all listen on loopback, and searches join
them. First more and more trials at once: how long it takes until all are there, and how fast they
can report when their epochs take no time. Then a long search of short trials: what becomes slow,
and what large. The driver's processor time counts, as the trials' processes share these cores with
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
    Aim,
    Table,
    at_least,
    at_most,
    draw_pictures,
    events,
    finish,
    options,
    parse,
    resident,
    tell,
    workplace,
)
from memory import anonymous

from handsigns.cluster.session import SEALED_OFF, new_token
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
SETTINGS = {name: value for name, value in SEALED_OFF.items() if value is not None} | {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Processes that wait for work which none will get: each trial's has our code, so a new one.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
}
HOLD = "hold"
"""The file that makes trials slow."""
LIGHT = (sys.executable, str(Path(__file__).with_name("light.py")))
_TICKS = os.sysconf("SC_CLK_TCK")
_LONGEST_START = 1800.0
"""Seconds until all trials at once must have reported."""
_LONGEST_END = 300.0
"""Seconds until a search that was told to must have ended."""


def main() -> int:
    """Measure, print, and write the aims."""
    parser = options(__doc__ or "")
    parser.add_argument("--at-once", default="8,32", metavar="N,N", help="trials at a time")
    parser.add_argument("--seconds", type=float, default=30, help="of full load, for each of these")
    parser.add_argument("--trials", type=int, default=20_000, help="of the long search")
    chosen = parse(parser, at_once="2", seconds=1, trials=100)
    most = [int(count) for count in chosen.at_once.split(",")]
    if chosen.trials < 100:
        parser.error("--trials: at least 100, as each tenth is measured")
    with workplace() as folder:
        os.environ |= SETTINGS | {
            "RAY_AUTH_TOKEN_PATH": str(new_token(folder)),
            # Not the machine's own, where any other Ray would look for the address of ours.
            "RAY_TMPDIR": str(folder),
        }
        (folder / "space.yaml").write_text(SPACE)
        draw_pictures(folder / "few", {"train": 12, "val": 6, "test": 6}, 16, "png")
        loads = []
        with local_nodes(max(most)) as address:
            for count in most:
                tell(f"{count} trials at once")
                loads.append(load(folder, address, count, chosen.seconds))
                tell(" | ".join(loads[-1]))
        # Where there is room, Tune starts processes for trials that are over before those are up.
        tell(f"{chosen.trials} trials of two epochs, two at a time")
        with local_nodes(NODES) as address:
            long, aims = many_trials(folder, address, chosen.trials, at_once=2)
    title = f"Trials at once, on {NODES} nodes of this machine"
    columns = (
        "trials", "until all have reported, s", "of that the driver's processor, s",
        "reports a second", "driver's processor, ms a report", "driver's memory, MiB",
        "a trial's process, MiB",
    )  # fmt: skip
    return finish([Table(title, columns, loads), long], aims, chosen)


@contextmanager
def local_nodes(slots: int) -> Iterator[str]:
    """A head without CPUs and some workers, with as many CPUs in all as they are told to have."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "node_ip_address": LOOPBACK, "include_dashboard": False},
    )
    try:
        for _ in range(NODES):
            cpus = -(-slots // NODES)
            cluster.add_node(
                num_cpus=cpus, node_ip_address=LOOPBACK, object_store_memory=80 * 2**20
            )
        yield cluster.address
    finally:
        cluster.shutdown()


@dataclass
class Driver:
    """A search's process, looked at while it runs.

    Attributes:
        process, output: it, and what it prints.
        seen: seconds since the Unix epoch, seconds of its processor, MiB of its memory.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    seen: list[tuple[float, float, float]]

    def look(self) -> None:
        """Add what it has used by now."""
        pid = self.process.pid
        self.seen.append((time.time(), _processor(pid), resident(pid)))

    def failed(self) -> RuntimeError:
        """That it ended otherwise than it should, with what it printed."""
        self.output.seek(0)
        return RuntimeError(self.output.read().decode())

    def processor(self, begun: float, ended: float) -> float:
        """Seconds of its processor between two times."""
        times = [at for at, _, _ in self.seen]
        used = [seconds for _, seconds, _ in self.seen]
        first, last = np.interp([begun, ended], times, used)
        return float(last - first)

    def memory(self, begun: float, ended: float) -> float:
        """The most MiB that it had between two times."""
        return max((mib for at, _, mib in self.seen if begun <= at <= ended), default=float("nan"))


@contextmanager
def search(folder: Path, address: str, name: str, *arguments: str) -> Iterator[Driver]:
    """A search of light trials; asked to end when the block does."""
    command = [*LIGHT, str(folder / HOLD), "search", str(folder / "space.yaml"), "--name", name]
    command += ["--data", str(folder / "few"), "--size", "16", "--results", str(folder)]
    command += ["--address", address, "--cpus-per-trial", "1", "--gpus-per-trial", "0"]
    command += ["--no-report"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*command, *arguments], stdout=output, stderr=output)
        driver = Driver(process, output, [])
        try:
            yield driver
            process.terminate()
            if process.wait(timeout=_LONGEST_END) not in (0, 130):
                raise driver.failed()
        finally:
            process.kill()


def load(folder: Path, address: str, count: int, seconds: float) -> tuple[str, ...]:
    """A search whose trials, when all are there, do nothing but report: a row of the table."""
    name = f"load-{count}"
    journal = folder / name / "journal.jsonl"
    settings = ("--trials", str(count), "--max-epochs", "100000", "--set", "scheduler.name=none",
                "--set", f"resources.concurrent_trials={count}")  # fmt: skip
    follow = Follower(journal)
    (folder / HOLD).touch()
    with search(folder, address, name, *settings) as driver:
        late = time.monotonic() + _LONGEST_START
        while len(follow.reporting) < count:
            if time.monotonic() > late:
                reporting = f"{len(follow.reporting)} of {count} trials"
                raise RuntimeError(f"after {_LONGEST_START:.0f} s only {reporting} have reported")
            _wait(driver, 0.2)
            follow.read()
        all_there = time.time()
        (folder / HOLD).unlink()
        while time.time() < all_there + 2 + seconds:
            _wait(driver, 0.5)
        follow.read()
        trials = [anonymous([pid]) / 2**20 for pid in follow.processes]
    # As fast as they can: from then on the driver is never without a report to take.
    begun, ended = all_there + 2, all_there + 2 + seconds
    reports = sum(begun <= at < ended for at in follow.times)
    used = driver.processor(begun, ended)
    return (
        str(count),
        f"{all_there - follow.begun:.1f}",
        f"{driver.processor(follow.begun, all_there):.1f}",
        f"{reports / seconds:.0f}",
        f"{1000 * used / reports:.2f}",
        f"{driver.memory(begun, ended):.0f}",
        f"{statistics.median(trials):.0f}",
    )


class Follower:
    """What a journal says while it grows."""

    def __init__(self, path: Path) -> None:
        self._reader = EventReader(path)
        self.begun = float("nan")
        """When the first trial was begun."""
        self.reporting: set[str] = set()
        self.times: list[float] = []
        self.processes: set[int] = set()

    def read(self) -> None:
        """Take in what is new."""
        for event in self._reader.new():
            if event["event"] == "start" and math.isnan(self.begun):
                self.begun = event["time"]
            elif event["event"] == "epoch":
                self.reporting.add(event["trial_id"])
                self.times.append(event["time"])
                self.processes.add(int(event["node"].rpartition("/")[2]))


def many_trials(folder: Path, address: str, trials: int, at_once: int) -> tuple[Table, list[Aim]]:
    """A long search of short trials, a tenth of it after the other."""
    settings = ("--trials", str(trials), "--max-epochs", "2",
                "--set", f"resources.concurrent_trials={at_once}")  # fmt: skip
    with search(folder, address, "many", *settings) as driver:
        while driver.process.poll() is None:
            _wait(driver, 1.0, may_end=True)
    journal = folder / "many" / "journal.jsonl"
    begins = [event["time"] for event in events(journal) if event["event"] == "start"]
    rows, aims = tenths(begins, driver, at_once)
    columns = ("trials", "trials a second", "driver's processor, ms a trial", "its memory, MiB")
    size = journal.stat().st_size / 2**20
    title = f"{trials} trials of at most two epochs, {at_once} at a time (journal: {size:.0f} MiB)"
    return Table(title, columns, rows), aims


def tenths(
    begins: Sequence[float], driver: Driver, at_once: int
) -> tuple[list[tuple[str, ...]], list[Aim]]:
    """Each tenth of a long search, and whether the last is as the first.

    Args:
        begins: when each trial was begun, in seconds since the Unix epoch.
        driver: as it was seen meanwhile.
        at_once: trials at a time; the first of them wait for their processes, which is a matter of
            the start.
    """
    trials = len(begins)
    marks = [at_once, *(trials * tenth // 10 for tenth in range(1, 11))]
    rows: list[tuple[str, ...]] = []
    rates, costs, memory = [], [], []
    for low, high in pairwise(marks):
        begun, ended = begins[low - 1], begins[high - 1]
        rates.append((high - low) / (ended - begun))
        costs.append(1000 * driver.processor(begun, ended) / (high - low))
        memory.append(driver.memory(begun, ended))
        figures = (f"{rates[-1]:.1f}", f"{costs[-1]:.1f}", f"{memory[-1]:.0f}")
        rows.append((f"{low} to {high}", *figures))
    grown = 1024 * (memory[-1] - memory[0]) / (marks[-1] - marks[1])
    dearer = costs[-1] / costs[0]
    return rows, [
        at_most("the last tenth's processor time a trial to the first's", dearer, 1.5),
        at_least("the last tenth's rate to the first's", rates[-1] / rates[0], 0.75),
        at_most("driver's growth a trial, KiB", grown, 100),
    ]


def _wait(driver: Driver, seconds: float, *, may_end: bool = False) -> None:
    time.sleep(seconds)
    driver.look()
    if driver.process.poll() is not None and not may_end:
        raise driver.failed()


def _processor(pid: int) -> float:
    """Seconds that all threads of a process that has not been waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    sys.exit(main())
