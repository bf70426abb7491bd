"""Command server: runs commands in one process with all libraries loaded and one shared Ray.

A real command imports its libraries again, and a real search starts the six processes of Ray, which
costs seconds of CPU that most tests need not spend. Tests that kill, interrupt or time a process,
or concern its start, use real processes (`Workspace.start`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tests.support.s3 import CREDENTIALS

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = str(REPOSITORY / "tune_main.py")
RAY_COMMANDS = ("run", "search", "resume", "reevaluate", "retrain")
"""Commands that need Ray."""


class CommandServer:
    """Server process, started with the first command."""

    def __init__(self) -> None:
        self.environment = os.environ | CREDENTIALS
        """Variables of the process."""
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, arguments: tuple[str, ...], cwd: Path, environment: Mapping[str, str]
    ) -> tuple[int, str]:
        """Run a command; return its exit status and output."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server"],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the command server died"
        reply = json.loads(line)
        return reply["status"], reply["output"]

    def close(self) -> None:
        """Stop the process and its Ray."""
        if self._process is not None:
            self._process.communicate()


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Run requested commands one after another until the input ends."""
    with contextlib.ExitStack() as stack:
        has_ray = False
        for line in requests:
            request = json.loads(line)
            if request["arguments"][0] in RAY_COMMANDS and not has_ray:
                from handsigns.cluster.session import ray_session

                stack.enter_context(ray_session(None, 2**26, preload=("optuna", "ray.tune")))
                has_ray = True
            json.dump(_run(request), replies)
            replies.write("\n")
            replies.flush()


def _run(request: Mapping[str, Any]) -> dict[str, Any]:
    from handsigns.cli import main
    from handsigns.cluster.isolation import environment

    before = os.getcwd()  # noqa: PTH109
    with tempfile.TemporaryFile() as captured:
        with environment(request["environment"]), _capture_output(captured):
            os.chdir(request["cwd"])
            sys.argv = [SCRIPT, *request["arguments"]]
            try:
                status = main(request["arguments"])
            except SystemExit as error:  # an invalid option
                status = int(error.code or 0)
            except BaseException:
                traceback.print_exc()
                status = 1
            os.chdir(before)
        captured.seek(0)
        return {"status": status, "output": captured.read().decode(errors="replace")}


@contextlib.contextmanager
def _capture_output(file: IO[bytes]) -> Iterator[None]:
    saved = os.dup(1), os.dup(2)
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


if __name__ == "__main__":
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output between commands must not be read as a reply
    serve(sys.stdin, channel)
