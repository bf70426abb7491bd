"""Interruption of a search by the user or the system."""

import os
import signal
import time

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults]


def ctrl_c(process) -> None:
    """Send SIGINT to every process of the command, as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.long
def test_interrupted_searches_can_be_resumed(workspace):
    process = workspace.start("search", "tiny.yaml", *workspace.long, "--name", "interrupted")
    workspace.wait_for_epochs("interrupted", 5, process)
    ctrl_c(process)
    output = workspace.finish(process, 130)
    assert f"resume it: {workspace.suggested_command('resume', 'interrupted')}" in output
    rows = workspace.rows("interrupted")
    assert "interrupted" in {row["status"] for row in rows}
    assert sum(int(row["epochs"]) for row in rows) == len(workspace.events("interrupted", "epoch"))

    # A second Ctrl-C exits at once.
    process = workspace.start("resume", "interrupted")
    sessions = len(workspace.events("interrupted", "session_started"))
    workspace.wait_for(
        lambda: len(workspace.events("interrupted", "session_started")) > sessions, process
    )
    workspace.wait_for_epochs("interrupted", 40, process)
    ctrl_c(process)
    time.sleep(0.2)  # two pending signals of the same number are delivered as one
    ctrl_c(process)
    output = workspace.finish(process, 130)
    assert f"resume with: {workspace.suggested_command('resume', 'interrupted')}" in output

    process = workspace.start("resume", "interrupted", "--trials", "4")
    workspace.wait_for_epochs("interrupted", 80, process)
    process.terminate()
    assert "resume it: " in workspace.finish(process, 130)

    workspace.run("resume", "interrupted")
    rows = workspace.rows("interrupted")
    assert [row["status"] for row in rows] == ["completed"] * 4
    workspace.audit("interrupted")


@pytest.mark.long
def test_budget_too_short_for_an_epoch_names_the_remedy(workspace):
    printed = workspace.run(
        "run", "tiny.yaml", *workspace.data, "--name", "hasty", "--time-budget", "1s", status=1
    )
    assert "there is no winner: no trial finished its first epoch in 1s" in printed
    more = workspace.suggested_command("resume", "hasty", "--time-budget", "10s")
    assert f"Extend the time budget: {more}" in printed
    printed = workspace.run("resume", "hasty", "--time-budget", "10m", "--trials", "1")
    assert [row["status"] for row in workspace.rows("hasty")] == ["completed"]
    assert "there is no winner" not in printed
