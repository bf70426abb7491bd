"""A folder in which a test uses the command line as a user does, and what the tests wait for."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.command_server import REPOSITORY, CommandServer

SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 3e-2}
  batch_size: {type: choice, values: [8, 16]}
  channel_width: 4
budget: {trials: 6, max_epochs: 4}
scheduler: {name: asha, grace_period: 1, reduction_factor: 2}
resources: {cpus_per_trial: 1, gpus_per_trial: 0, concurrent_trials: 1}
"""
"""One trial at a time: each process that trains loads torch, seconds of both cores."""


class Workplace:
    """A folder with pictures and a space, and the command line in it, as a user has it.

    Its pictures, `bands`, are of three classes that are easy to tell: a bright band high, in the
    middle, low. Its space, `tiny.yaml`, is searched in moments.
    """

    data = ("--data", "bands", "--size", "16", "--no-report")
    two = ("--set", "resources.concurrent_trials=2")
    """Two trials at a time, as there would be elsewhere."""
    long = (*data, *two, "--max-epochs", "150", "--set", "scheduler.name=none", "--trials", "3")
    """Options of a search in which there is time to interfere."""

    def __init__(self, root: Path, server: CommandServer | None = None) -> None:
        self.root = root
        self.server = server
        self._cache = {"HANDSIGNS_CACHE": str(root / "cache")}
        self.environment = os.environ | self._cache
        self.started: list[subprocess.Popen[str]] = []
        (root / "tiny.yaml").write_text(SPACE)
        rng = np.random.default_rng(0)
        for split, count in (("train", 20), ("val", 8), ("test", 8)):
            for k, label in enumerate(("high", "middle", "low")):
                (root / "bands" / split / label).mkdir(parents=True)
                for i in range(count):
                    pixels = rng.integers(0, 100, (16, 16, 3), dtype=np.uint8)
                    pixels[5 * k : 5 * k + 5] += 130
                    Image.fromarray(pixels).save(root / "bands" / split / label / f"{i}.png")

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """A command of ours in full."""
        return [sys.executable, str(REPOSITORY / "tune_main.py"), *arguments]

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a command of ours, in a session of its own as from a terminal."""
        process = subprocess.Popen(
            [*prefix, *self.command(*arguments)],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str], status: int = 0) -> str:
        """Wait for a command to end as it should; returns what it printed."""
        output, _ = process.communicate(timeout=900)
        self.check(process.returncode, output, status)
        return output

    def check(self, returned: int, output: str, status: int) -> None:
        """See that a command ended as it should."""
        assert returned == status, f"{output}\n{self.logs()}"
        assert "Traceback" not in output, output

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command; returns what it printed."""
        if self.server is None or self._has_environment():
            return self.finish(self.start(*arguments), status)
        returned, output = self.server.run(arguments, self.root, self._cache)
        self.check(returned, output, status)
        return output

    def _has_environment(self) -> bool:
        """Whether a test has set variables, which the processes of a shared Ray would not have."""
        return self.environment != os.environ | self._cache

    def logs(self) -> str:
        """The last lines of what Ray had to say in each search, for a test that failed."""
        logs = sorted(self.root.glob("results/*/ray.log"))
        return "\n".join(f"{p}:\n{p.read_text(errors='replace')[-4000:]}" for p in logs)

    def folder(self, name: str) -> Path:
        """The results of a search."""
        return self.root / "results" / name

    def rows(self, name: str, table: str = "leaderboard") -> list[dict[str, str]]:
        """A table of a search."""
        with (self.folder(name) / f"{table}.csv").open() as file:
            return list(csv.DictReader(file))

    def events(self, name: str, kind: str = "") -> list[dict[str, Any]]:
        """The whole lines of a journal so far, or those of one kind."""
        path = self.folder(name) / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith(b"}\n")]
        return [event for event in found if kind in ("", event["event"])]

    def wait_for(self, what: Callable[[], object], process: subprocess.Popen[str]) -> None:
        """Wait until something is so, while the process runs."""
        deadline = time.monotonic() + 600
        while not what():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.02)

    def wait_for_epochs(self, name: str, count: int, process: subprocess.Popen[str]) -> None:
        """Wait until so many epochs of a search are recorded."""
        self.wait_for(lambda: len(self.events(name, "epoch")) >= count, process)

    def trial_process(self, name: str, trial_id: str | None = None) -> int:
        """The id of the process in which a trial, or whichever reported last, trained last."""
        epochs = self.events(name, "epoch")
        found = [event for event in epochs if trial_id in (None, event["trial_id"])]
        return int(found[-1]["node"].rpartition("/")[2])

    def kill(self, process: subprocess.Popen[str], name: str) -> None:
        """Kill a search's driver, and wait until its trials have ended with it, a moment later."""
        nodes = {event["node"] for event in self.events(name, "epoch")}
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 60
        while any(is_trial(int(node.rpartition("/")[2])) for node in nodes):
            assert time.monotonic() < deadline, "trials outlive the search"
            time.sleep(0.05)

    def suggested(self, *words: str) -> str:
        """Return a command as messages of the program suggest it here."""
        return shlex.join(["python", *self.command(*words)[1:]])

    def audit(self, name: str) -> str:
        """Check that nothing is wrong with a search that finished; returns what was found."""
        done = subprocess.run(
            self.command("audit", name),
            cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        """End what a failed test has left running."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def is_trial(pid: int) -> bool:
    """Whether a process runs, and is one of Ray's."""
    try:
        return b"ray" in Path(f"/proc/{pid}/cmdline").read_bytes().lower()
    except OSError:
        return False


def until(what: Callable[[], object], seconds: float = 240) -> None:
    """Wait until something holds, as long as that may take on a busy machine."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"{what} does not come to hold"
        time.sleep(0.05)


def machine_wide_ray() -> str:
    """Return the address of the Ray that `ray.init()` joins on this machine; empty if none."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        return (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except FileNotFoundError:
        return ""
