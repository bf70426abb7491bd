"""Searches on a GPU: CUDA graphs, MPS, replays, and nothing left on the card."""

import os
import signal
import subprocess

import pytest

from tests.support.workspace import wait_until

pytestmark = [pytest.mark.gpu, pytest.mark.ray]

_RELEASE_DEADLINE_S = 60
"""Time after which a killed search must have left the card."""


def gpu_processes():
    """Return the processes on the card, and the MPS daemons of this machine."""
    query = ["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]
    apps = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    daemons = subprocess.run(["pgrep", "-f", "nvidia-cuda-mps"], capture_output=True, text=True)
    return set(apps) | set(daemons.stdout.split())


def wait_until_released(before):
    wait_until(lambda: gpu_processes() <= before, seconds=_RELEASE_DEADLINE_S)


@pytest.fixture
def before(cuda):
    return gpu_processes()


def run_alone(workspace, *arguments):
    """Run a command in a process of its own, with a Ray and an MPS daemon of its own."""
    return workspace.finish(workspace.start(*arguments))


def test_search_uses_graphs_and_leaves_the_card_free(workspace, before):
    output = run_alone(
        workspace, "search", "tiny.yaml", "--name", "graphs", *workspace.data, "--trials", "4",
        "--gpus-per-trial", "auto", *workspace.concurrent, "--set", "resources.mps=on",
        "--set", "scheduler.name=none",
    )  # fmt: skip
    assert "(MPS)" in output
    assert "steps/s" in output
    rows = workspace.rows("graphs", "trials")
    assert {row["execution"] for row in rows} == {"cuda graph"}
    assert {row["device"].split()[0] for row in rows} == {"cuda"}
    wait_until_released(before)
    assert "identical" in run_alone(workspace, "replay", "graphs", rows[0]["trial_id"])


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_ended_search_leaves_no_process_on_the_card(workspace, before, signal_number):
    name = f"ended-{signal_number}"
    process = workspace.start("search", "tiny.yaml", "--name", name, *workspace.long,
                              "--gpus-per-trial", "auto")  # fmt: skip
    workspace.wait_for_epochs(name, 1, process)
    os.kill(process.pid, signal_number)
    process.communicate(timeout=300)
    wait_until_released(before)
