"""NVIDIA's Multi-Process Service (MPS), for the trials that share a GPU of this machine.

Processes that share a GPU take turns on it (time slicing); those that are clients of an MPS daemon
run on it at the same time. CUDA connects a process to the daemon, if there is one, by its
environment, which Ray's processes inherit.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from handsigns.cluster import mps_guardian
from handsigns.cluster.isolation import environment
from handsigns.cluster.nodes import local_node, nvidia_smi
from handsigns.config.execution import Resources
from handsigns.errors import ResourceError

_FOLDER_PREFIX = "handsigns-mps-"
_MAX_PARENT_BYTES = 107 - len(f"/{_FOLDER_PREFIX}12345678/pipe/control_privileged")
"""Longest path of the parent of a private folder: a Unix socket's address has 108 bytes, with a
terminating zero."""
_RELEASE_TIMEOUT_S = mps_guardian.STOP_TIMEOUT_S + 10


def mps_active() -> bool:
    """Return whether an MPS daemon answers in this process's environment.

    In a worker process, that is the daemon of its node.
    """
    return mps_guardian.daemon_answers()


def trials_share_gpus(resources: Resources) -> bool:
    """Return whether several trials may share a GPU, so that MPS makes a difference."""
    per_trial = resources.gpus_per_trial
    return resources.max_concurrent_trials != 1 and (per_trial == "auto" or 0 < per_trial < 1)


@contextlib.contextmanager
def mps_daemon(resources: Resources, notify: Callable[[str], None]) -> Iterator[None]:
    """Let the trials of a Ray that is started within the context share GPUs by MPS, if they can.

    A daemon that answers already is used. Otherwise one is started, with private folders, unless
    there is no GPU to share; it is stopped at the end, or when this process ends in any other way.
    The environment is restored at the end.

    Args:
        resources: the resources that the user requested.
        notify: prints a notice: why trials take turns instead.

    Raises:
        ResourceError: `resources.mps` is ``on``, and there is no daemon.
    """
    with contextlib.ExitStack() as stack:
        problem = _use_or_start(resources, stack)
        if problem and resources.mps == "on":
            raise ResourceError(
                f"resources.mps is on, but {problem}; with --set resources.mps=auto, trials that "
                f"share a GPU take turns where there is no MPS"
            )
        if problem:
            notify(f"trials that share a GPU take turns on it, without MPS: {problem}")
        yield


def _use_or_start(resources: Resources, stack: contextlib.ExitStack) -> str:
    """Use the daemon that is running, or start one that ends with the stack.

    Returns:
        Why there is no daemon; empty if there is one, or none is needed.
    """
    if resources.mps == "off" or not trials_share_gpus(resources):
        return ""
    required = resources.mps == "on"
    if not local_node().gpus:
        return "this machine has no NVIDIA GPU" if required else ""
    if mps_active():
        return ""
    if "MIG-" in os.environ.get("CUDA_VISIBLE_DEVICES", ""):
        return "CUDA_VISIBLE_DEVICES names an instance of a partitioned GPU (MIG)"
    if shutil.which(mps_guardian.CONTROL) is None:
        return f"{mps_guardian.CONTROL} is not installed"
    if not required and (processes := _gpu_processes()):
        return (
            f"another process uses a GPU (process {', '.join(processes)}), and MPS may lock other "
            f"users out; to start it nevertheless: --set resources.mps=on"
        )
    return _start(stack)


def _gpu_processes() -> list[str]:
    """Return the ids of the other processes that use a GPU of this machine."""
    listed = map(str.strip, nvidia_smi("--query-compute-apps=pid", "--format=csv,noheader"))
    return sorted({pid for pid in listed if pid.isdigit() and int(pid) != os.getpid()})


def _start(stack: contextlib.ExitStack) -> str:
    """Start a daemon that ends with the stack, or with this process.

    Returns:
        Why it does not serve; empty if it does.
    """
    try:
        folder = _private_folder()
        settings = {
            f"CUDA_MPS_{kind.upper()}_DIRECTORY": str(folder / kind) for kind in ("pipe", "log")
        }
        for directory in settings.values():
            Path(directory).mkdir()
        # The daemon must see all GPUs: it numbers those that it sees from zero, so the numbers in
        # the CUDA_VISIBLE_DEVICES of its clients would mean other ones.
        inherited = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", mps_guardian.__file__, str(folder)],
            env=inherited | settings,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C does not reach it
        )
    except OSError as error:
        return f"the MPS daemon cannot be started: {error}"
    with contextlib.ExitStack() as starting:
        starting.callback(_release, guardian, folder)
        assert guardian.stdout is not None
        answer = guardian.stdout.readline().strip()
        if answer != mps_guardian.READY:
            return answer or "the process that starts the MPS daemon has died"
        stack.push(starting.pop_all())
    stack.enter_context(environment(settings))
    return ""


def _release(guardian: subprocess.Popen[str], folder: Path) -> None:
    """Have the guardian stop the daemon, and wait for it (bounded)."""
    for pipe in (guardian.stdin, guardian.stdout):
        assert pipe is not None
        pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):  # it goes on by itself
        guardian.wait(_RELEASE_TIMEOUT_S)
        shutil.rmtree(folder, ignore_errors=True)  # if the guardian was killed


def _private_folder() -> Path:
    """Create a folder that only this user can read, with a path short enough for sockets.

    Raises:
        OSError: there is no place for it.
    """
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if len(os.fsencode(parent)) <= _MAX_PARENT_BYTES and os.access(parent, os.W_OK):
            return Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
    raise OSError(f"{tempfile.gettempdir()} is too long a path for sockets; set TMPDIR=/short")
