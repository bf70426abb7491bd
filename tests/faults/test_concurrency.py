"""Concurrent searches, consecutive searches in one process, and clock jumps."""

import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.long]


def test_concurrent_searches_need_different_names(workspace):
    process = workspace.start(
        "search", "tiny.yaml", *workspace.long, "--max-epochs", "300", "--name", "busy"
    )
    second = workspace.start("search", "tiny.yaml", *workspace.data, "--name", "second")
    workspace.wait_for_epochs("busy", 1, process)
    rejected = [
        workspace.start("resume", "busy"),
        workspace.start("search", "tiny.yaml", *workspace.data, "--name", "busy"),
        workspace.start("retrain", "busy"),
        workspace.start("reevaluate", "busy"),
    ]
    for other in rejected:
        assert f"busy is being run by process {process.pid} on " in workspace.finish(other, 2)
    workspace.finish(process)
    workspace.finish(second)
    workspace.audit("busy")
    workspace.audit("second")


def test_second_concurrent_search_of_the_same_name_is_rejected(workspace):
    arguments = ("search", "tiny.yaml", *workspace.data, "--trials", "2", "--name", "same")
    pair = [workspace.start(*arguments) for _ in range(2)]
    outputs = [process.communicate(timeout=900)[0] for process in pair]
    assert sorted(process.returncode for process in pair) == [0, 2], outputs
    rejected = next(text for process, text in zip(pair, outputs, strict=True) if process.returncode)
    assert "same is being run by process " in rejected or "same already exists" in rejected
    workspace.audit("same")


CLOCKS = """
import sys, time
from handsigns.cli import main
real_time, calls = time.time, iter(range(10**9))
# The wall clock jumps forth and back by a week at every call.
time.time = lambda: real_time() + (7 * 86400 if next(calls) % 2 else -7 * 86400)
arguments = ["search", "tiny.yaml", "--data", "bands", "--size", "16", "--time-budget", "20m"]
for name in ("one", "two"):
    assert main([*arguments, "--name", name]) == 0
"""


def test_two_searches_in_one_process_despite_clock_jumps(workspace):
    started = time.monotonic()
    completed = subprocess.run(
        [sys.executable, "-c", CLOCKS],
        cwd=workspace.root, env=workspace.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    for name in ("one", "two"):
        elapsed = workspace.events(name)[-1]["elapsed"]
        assert 0 < elapsed < time.monotonic() - started, "measured by a monotonic clock"
        workspace.audit(name)
