"""A search whose terminal is closed, or whose output nobody reads."""

import os
import pty
import signal
import subprocess

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults]


def test_a_search_survives_its_terminal(place):
    ours, theirs = pty.openpty()
    command = place.command("search", "tiny.yaml", *place.data, "--name", "alone")
    process = subprocess.Popen(
        command, cwd=place.root, env=place.environment, start_new_session=True,
        stdin=theirs, stdout=theirs, stderr=theirs,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    place.started.append(process)
    os.close(theirs)
    place.wait_for_epochs("alone", 1, process)
    os.close(ours)
    assert process.wait(timeout=900) == 0
    assert len(place.rows("alone")) == 6
    log = (place.folder("alone") / "ray.log").read_text(errors="replace")
    assert "nobody reads the output any more" in log


def test_a_search_survives_a_closed_pipe(place):
    command = place.command("search", "tiny.yaml", *place.data, "--name", "piped")
    process = subprocess.Popen(
        command, cwd=place.root, env=place.environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    place.started.append(process)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=900) == 0
    assert len(place.rows("piped")) == 6
