"""Output to closed terminals and broken pipes."""

import contextlib
import io
import os
import subprocess
import sys

import pytest

from handsigns.console.safe_stream import BrokenPipeSafeStream
from tests.support.workspace import REPOSITORY

pytestmark = pytest.mark.slow

SCRIPT = str(REPOSITORY / "tune_main.py")


def test_broken_pipe_is_reported_once_and_then_ignored():
    reading, writing = os.pipe()
    errors = []
    with os.fdopen(writing, "w") as pipe:
        stream = BrokenPipeSafeStream(pipe, errors.append)
        stream.write("read\n")
        stream.flush()
        assert os.read(reading, 100) == b"read\n"
        os.close(reading)
        for _ in range(3):
            print("lost", file=stream, flush=True)
    assert [type(error) for error in errors] == [BrokenPipeError]


def test_output_to_intact_streams_is_unchanged():
    text = io.StringIO()
    with contextlib.redirect_stdout(BrokenPipeSafeStream(text)):
        print("ü", end="")
    assert text.getvalue() == "ü"
    assert not BrokenPipeSafeStream(text).isatty()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["list", "search quick --dry-run"])
def test_closed_streams_are_not_an_error(tmp_path, image_cache, closed, command):
    line = f'exec "$0" "$1" {command} {closed}'
    environment = os.environ | {"HANDSIGNS_CACHE": str(image_cache)}
    completed = subprocess.run(
        ["sh", "-c", line, sys.executable, SCRIPT],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert completed.returncode == 0
    assert "Traceback" not in completed.stderr


def test_reader_that_exits_early_is_not_an_error(tmp_path):
    completed = subprocess.run(
        ["sh", "-c", '"$0" "$1" --help; "$0" "$1" list | true', sys.executable, SCRIPT],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (completed.returncode, completed.stderr) == (0, "")
