"""Guardian of an MPS daemon: starts it, and stops it once the search has ended, however it ends.

Runs as a script with the daemon's folders in its environment, and with standard input connected to
a pipe whose other end only the search has: end of file means that the search has ended, be it by
SIGKILL. The script imports the standard library only, so it starts quickly and from anywhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
"""Program that starts the daemon, and sends it commands."""
READY = "ready"
"""First line of output if the daemon serves; otherwise that line says why not."""
_COMMAND_TIMEOUT_S = 30.0
_START_TIMEOUT_S = 10.0
_FORCE_AFTER_S = 10
"""Time for clients to finish, after which the daemon stops its server nevertheless."""
_CLIENT = """
import ctypes, sys
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError:
    sys.exit(0)  # without a driver there is nothing to try
device, context = ctypes.c_int(), ctypes.c_void_p()
error = (
    cuda.cuInit(0)
    or cuda.cuDeviceGet(ctypes.byref(device), 0)
    or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
)
sys.exit(f"error {error} of CUDA" if error else 0)
"""
"""Program that uses the first GPU; it fails with CUDA's error number."""
STOP_TIMEOUT_S = 2 * _COMMAND_TIMEOUT_S + _FORCE_AFTER_S
"""Longest time in which the guardian stops a daemon."""


def send(command: str) -> str | None:
    """Send a command to the MPS daemon of this environment.

    Returns:
        The daemon's answer; None if no daemon answers.
    """
    try:
        completed = subprocess.run(
            [CONTROL],
            input=f"{command}\n",
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return completed.stdout if completed.returncode == 0 else None


def daemon_answers() -> bool:
    """Return whether a daemon answers at the pipe directory of this environment."""
    return send("get_default_active_thread_percentage") is not None


def start_daemon(folder: Path) -> str:
    """Start the daemon and its server.

    Args:
        folder: private folder, for the program's output.

    Returns:
        `READY`, or why they do not run.
    """
    output = folder / "output"  # not a pipe, which the daemon would keep open
    try:
        with output.open("w") as file:
            status = subprocess.run(
                [CONTROL, "-d"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                timeout=_COMMAND_TIMEOUT_S,
                check=False,
            ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the MPS daemon cannot be started: {error}"
    if status:
        reason = _last_line(output) or f"exit status {status}"
        return f"the MPS daemon cannot be started: {reason}"
    if not _wait_for(daemon_answers, _START_TIMEOUT_S):
        return "the MPS daemon does not answer"
    # A client of a daemon without a server fails; it does not fall back to time slicing.
    send(f"start_server -uid {os.getuid()}")
    if not _wait_for(_server_runs, _START_TIMEOUT_S):
        reason = _last_line(Path(os.environ["CUDA_MPS_LOG_DIRECTORY"]) / "control.log")
        return f"the MPS server does not start{reason and f': {reason}'}"
    problem = _client_problem()
    return f"programs cannot use the GPU with MPS: {problem}" if problem else READY


def _client_problem() -> str:
    """Use a GPU as a client, once; return why that fails, or an empty string.

    In some containers, and with some drivers, the daemon serves, but no client can connect to it.
    """
    command = [sys.executable, "-I", "-S", "-c", _CLIENT]
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not completed.returncode:
        return ""
    lines = completed.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {completed.returncode}"


def stop_daemon() -> None:
    """Stop the daemon of this environment, if there is one, and wait for its end (bounded)."""
    send(f"quit -t {_FORCE_AFTER_S}")
    _wait_for(lambda: not daemon_answers(), _FORCE_AFTER_S)


def main() -> None:
    """Start the daemon, report, wait for the end of the search, and clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Unlike SIG_IGN, a handler is not inherited by the daemon.
        signal.signal(number, lambda *_: None)
    folder = Path(sys.argv[1])
    try:
        answer = start_daemon(folder)
        with contextlib.suppress(OSError):  # the search may have ended
            os.write(1, f"{answer}\n".encode())
        while os.read(0, 1):
            pass
    finally:
        stop_daemon()
        shutil.rmtree(folder, ignore_errors=True)


def _server_runs() -> bool:
    """Return whether the same server is listed twice: one that fails is restarted at once."""
    before = _server_ids()
    time.sleep(0.5)
    return bool(before) and _server_ids() == before


def _server_ids() -> list[str]:
    return [word for word in (send("get_server_list") or "").split() if word.isdigit()]


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


if __name__ == "__main__":
    main()
