"""Workspace in which a test uses the command line as a user does, and functions to wait."""

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
from tests.support.s3 import CREDENTIALS, free_port

SPACE = """
space:
  learning_rate: {type: log_uniform, low: 1e-3, high: 3e-2}
  batch_size: {type: choice, values: [8, 16]}
  channel_width: 4
budget: {trials: 6, max_epochs: 4}
scheduler: {name: asha_promotion, grace_period: 1, reduction_factor: 2}
resources: {cpus_per_trial: 1, gpus_per_trial: 0, max_concurrent_trials: 1}
"""
"""One trial at a time: each training process imports torch, which takes seconds of both cores."""

_IGNORED_VARIABLES = {"PYTEST_CURRENT_TEST", *CREDENTIALS}
"""Variables that do not matter to a command, or that the server has."""


class Workspace:
    """Folder with images and a search space, in which commands run as for a user.

    The images, `bands`, have three classes that are easy to distinguish: a bright band at the top,
    in the middle or at the bottom. The search space, `tiny.yaml`, is searched in moments.
    """

    data = ("--data", "bands", "--size", "16", "--no-report")
    concurrent = ("--set", "resources.max_concurrent_trials=2")
    """Options for two concurrent trials."""
    long = (*data, *concurrent, "--trials", "3", "--max-epochs", "150",
            "--set", "scheduler.name=none")  # fmt: skip
    """Options of a search that is long enough to interfere with."""

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
        """Return the full argument list of a command."""
        return [sys.executable, str(REPOSITORY / "tune_main.py"), *arguments]

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a command in its own session, as from a terminal."""
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

    def serve(self, name: str) -> tuple[subprocess.Popen[str], str, str]:
        """Start `serve` on a free port; return its process, URL and output once it listens."""
        port = free_port()
        process = self.start("serve", name, "--port", str(port))
        lines: list[str] = []
        while not (lines and "curl" in lines[-1]):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        return process, f"http://127.0.0.1:{port}", "".join(lines)

    def finish(self, process: subprocess.Popen[str], status: int = 0) -> str:
        """Wait for a command to exit with `status`; return its output."""
        output, _ = process.communicate(timeout=900)
        self.check(process.returncode, output, status)
        return output

    def check(self, returned: int, output: str, status: int) -> None:
        """Assert the exit status of a command, and that it printed no traceback."""
        assert returned == status, f"{output}\n{self.logs()}"
        assert "Traceback" not in output, output

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command, assert its exit status and return its output."""
        if self.server is None or self._has_environment(self.server):
            return self.finish(self.start(*arguments), status)
        returned, output = self.server.run(arguments, self.root, self._cache)
        self.check(returned, output, status)
        return output

    def _has_environment(self, server: CommandServer) -> bool:
        """Return whether a test set variables, which the processes of a shared Ray would lack."""
        changed = self.environment.items() ^ (server.environment | self._cache).items()
        return any(name not in _IGNORED_VARIABLES for name, _ in changed)

    def logs(self) -> str:
        """Return the end of each search's Ray log, for a failed test."""
        logs = sorted(self.root.glob("results/*/ray.log"))
        return "\n".join(f"{p}:\n{p.read_text(errors='replace')[-4000:]}" for p in logs)

    def folder(self, name: str) -> Path:
        """Return the results folder of a search."""
        return self.root / "results" / name

    def rows(self, name: str, table: str = "leaderboard") -> list[dict[str, str]]:
        """Return the rows of a search's table."""
        with (self.folder(name) / f"{table}.csv").open() as file:
            return list(csv.DictReader(file))

    def events(self, name: str, kind: str = "") -> list[dict[str, Any]]:
        """Return the complete events in a search's journal so far, optionally of one kind."""
        path = self.folder(name) / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith(b"}\n")]
        return [event for event in found if kind in ("", event["event"])]

    def wait_for(self, condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
        """Wait until a condition holds, while the process runs."""
        deadline = time.monotonic() + 600
        while not condition():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.02)

    def wait_for_epochs(self, name: str, count: int, process: subprocess.Popen[str]) -> None:
        """Wait until `count` epochs of a search are recorded."""
        self.wait_for(lambda: len(self.events(name, "epoch")) >= count, process)

    def trial_process(self, name: str, trial_id: str | None = None) -> int:
        """Return the id of the process that reported last for a trial, or for any trial."""
        epochs = self.events(name, "epoch")
        found = [event for event in epochs if trial_id in (None, event["trial_id"])]
        return int(found[-1]["node"].rpartition("/")[2])

    def kill(self, process: subprocess.Popen[str], name: str) -> None:
        """Kill a search's driver and wait until its trials have exited."""
        nodes = {event["node"] for event in self.events(name, "epoch")}
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 60
        while any(is_ray_process(int(node.rpartition("/")[2])) for node in nodes):
            assert time.monotonic() < deadline, "trials outlive the search"
            time.sleep(0.05)

    def suggested_command(self, *words: str) -> str:
        """Return a command line as messages suggest it in this workspace."""
        return shlex.join(["python", *self.command(*words)[1:]])

    def audit(self, name: str) -> str:
        """Assert that `audit` finds nothing wrong with a finished search; return its output."""
        return self.run("audit", name)

    def close(self) -> None:
        """Kill the processes that a failed test left running."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def is_ray_process(pid: int) -> bool:
    """Return whether a process is running and belongs to Ray."""
    try:
        return b"ray" in Path(f"/proc/{pid}/cmdline").read_bytes().lower()
    except OSError:
        return False


def wait_until(condition: Callable[[], object], seconds: float = 240) -> None:
    """Wait until a condition holds, with a timeout for busy machines."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} did not become true"
        time.sleep(0.05)


def default_ray_address() -> str:
    """Return the address of the Ray that `ray.init()` would join on this machine; empty if none."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        return (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except FileNotFoundError:
        return ""
