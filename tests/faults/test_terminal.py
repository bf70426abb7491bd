"""Closed terminals and pipes."""

import os
import pty
import signal
import subprocess

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults]


def test_search_survives_a_closed_terminal(workspace):
    controller, terminal = pty.openpty()
    command = workspace.command("search", "tiny.yaml", *workspace.data, "--name", "alone")
    process = subprocess.Popen(
        command, cwd=workspace.root, env=workspace.environment, start_new_session=True,
        stdin=terminal, stdout=terminal, stderr=terminal,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    workspace.started.append(process)
    os.close(terminal)
    workspace.wait_for_epochs("alone", 1, process)
    os.close(controller)
    assert process.wait(timeout=900) == 0
    assert len(workspace.rows("alone")) == 6
    log = (workspace.folder("alone") / "ray.log").read_text(errors="replace")
    assert "the terminal was closed" in log


@pytest.mark.long
def test_search_survives_a_closed_pipe(workspace):
    command = workspace.command("search", "tiny.yaml", *workspace.data, "--name", "piped")
    process = subprocess.Popen(
        command, cwd=workspace.root, env=workspace.environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    workspace.started.append(process)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=900) == 0
    assert len(workspace.rows("piped")) == 6
