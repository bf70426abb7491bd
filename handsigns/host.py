"""This process and its machine: its name, and the CPUs that are there for it."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_WAIT_POLICY = "OMP_WAIT_POLICY"


def available_cpus(quota: Path = _QUOTA) -> int:
    """CPUs that its affinity and its container's quota leave to this process; at least 1.

    Args:
        quota: where Linux tells microseconds of CPU and of time they are for, or ``max``.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        count = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no container, or no limit
        used, period = quota.read_text(encoding="ascii").split()
        count = min(count, math.ceil(int(used) / int(period)))
    return max(1, count)


@contextlib.contextmanager
def passive_waiting() -> Iterator[None]:
    """Load libraries whose OpenMP threads sleep while they wait for each other.

    By default they spin. Beside other work, which may hold back one of them, the others then keep
    the CPUs busy that it waits for. OpenMP reads the setting as it is loaded, so this does nothing
    for a library that is loaded already. A policy that the user has set is kept.
    """
    if _WAIT_POLICY in os.environ:
        yield
        return
    os.environ[_WAIT_POLICY] = "passive"
    try:
        yield
    finally:
        del os.environ[_WAIT_POLICY]


def this_process() -> str:
    """Return how people tell this process from others: ``process 12 on laptop``."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def is_of_this_host(process: str) -> bool:
    """Whether what `this_process` returned somewhere was returned on this machine."""
    return process.endswith(f" on {socket.gethostname()}")
