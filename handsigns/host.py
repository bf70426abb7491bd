"""This process and its machine: its name, and the CPUs that are there for it."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


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


def this_process() -> str:
    """Return how people tell this process from others: ``process 12 on laptop``."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def is_of_this_host(process: str) -> bool:
    """Whether what `this_process` returned somewhere was returned on this machine."""
    return process.endswith(f" on {socket.gethostname()}")
