"""Output whose reader is gone."""

import contextlib
import io
import os
import subprocess
import sys

import pytest

from handsigns.console.steady import SteadyStream
from tests.support.workplace import REPOSITORY

SCRIPT = str(REPOSITORY / "tune_main.py")


def test_a_lost_reader_is_noted_once_and_costs_nothing():
    reading, writing = os.pipe()
    errors = []
    with os.fdopen(writing, "w") as pipe:
        stream = SteadyStream(pipe, errors.append)
        stream.write("heard\n")
        stream.flush()
        assert os.read(reading, 100) == b"heard\n"
        os.close(reading)
        for _ in range(3):
            print("unheard", file=stream, flush=True)
    assert [type(error) for error in errors] == [BrokenPipeError]


def test_other_streams_are_written_to_as_they_are():
    text = io.StringIO()
    with contextlib.redirect_stdout(SteadyStream(text)):
        print("ü", end="")
    assert text.getvalue() == "ü"
    assert not SteadyStream(text).isatty()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["list", "search quick --dry-run"])
def test_closed_streams_are_no_error(tmp_path, closed, command):
    line = f'exec "$0" "$1" {command} {closed}'
    environment = os.environ | {"HANDSIGNS_CACHE": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, SCRIPT],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    done = subprocess.run(
        ["sh", "-c", '"$0" "$1" --help; "$0" "$1" list | true', sys.executable, SCRIPT],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
