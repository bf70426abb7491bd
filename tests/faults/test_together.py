"""Several searches at once, or one after another in one process, while clocks jump."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.long]


def test_simultaneous_searches_need_different_names(place):
    process = place.start(
        "search", "tiny.yaml", *place.long, "--max-epochs", "300", "--name", "busy"
    )
    beside = place.start("search", "tiny.yaml", *place.data, "--name", "beside")
    place.wait_for_epochs("busy", 1, process)
    refused = [
        place.start("resume", "busy"),
        place.start("search", "tiny.yaml", *place.data, "--name", "busy"),
        place.start("retrain", "busy"),
        place.start("reevaluate", "busy"),
    ]
    for other in refused:
        assert f"busy is being run by process {process.pid} on " in place.finish(other, 2)
    place.finish(process)
    place.finish(beside)
    place.audit("busy")
    place.audit("beside")


def test_of_two_simultaneous_searches_of_a_name_one_is_refused(place):
    arguments = ("search", "tiny.yaml", *place.data, "--trials", "2", "--name", "same")
    pair = [place.start(*arguments) for _ in range(2)]
    outputs = [process.communicate(timeout=900)[0] for process in pair]
    assert sorted(process.returncode for process in pair) == [0, 2], outputs
    refused = next(text for process, text in zip(pair, outputs, strict=True) if process.returncode)
    assert "same is being run by process " in refused or "same exists already" in refused
    place.audit("same")


CLOCKS = """
import sys, time
from handsigns.cli import main
true, jumps = time.time, iter(range(10**9))
# The clock of the day jumps by a week at every look, forth and back.
time.time = lambda: true() + (7 * 86400 if next(jumps) % 2 else -7 * 86400)
arguments = ["search", "tiny.yaml", "--data", "bands", "--size", "16", "--time-budget", "20m"]
for name in ("one", "two"):
    assert main([*arguments, "--name", name]) == 0
"""


def test_two_searches_in_one_process_and_a_clock_that_jumps(place):
    done = subprocess.run(
        [sys.executable, "-c", CLOCKS],
        cwd=place.root, env=place.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("one", "two"):
        ran = place.events(name)[-1]["elapsed"]
        assert 0 < ran < 200, "seconds by a clock that no one sets"
        place.audit(name)
    assert [row["val_loss"] for row in place.rows("one")] != []
