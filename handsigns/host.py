"""This process and its machine: its identity, CPUs, packages and OpenMP wait policy."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_OMP_WAIT_POLICY_VAR = "OMP_WAIT_POLICY"


def available_cpus(quota: Path = _CGROUP_CPU_MAX) -> int:
    """Return the number of CPUs that affinity and container quota allow this process; at least 1.

    Args:
        quota: cgroup file with the CPU quota and its period in microseconds; the quota may be
            ``max``.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every platform
        count = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or no limit
        used, period = quota.read_text(encoding="ascii").split()
        count = min(count, math.ceil(int(used) / int(period)))
    return max(1, count)


def is_installed(package: str) -> bool:
    """Return whether a package can be imported; does not import it."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None  # a mere folder of that name has none


@contextlib.contextmanager
def passive_omp_wait() -> Iterator[None]:
    """Make OpenMP libraries imported within this context use sleeping instead of spinning waits.

    By default threads spin at a barrier. When other processes delay one thread, the spinning ones
    occupy the CPUs that it needs. OpenMP reads the setting when it is loaded, so libraries that are
    already loaded are unaffected. A policy set by the user is kept.
    """
    if _OMP_WAIT_POLICY_VAR in os.environ:
        yield
        return
    os.environ[_OMP_WAIT_POLICY_VAR] = "passive"
    try:
        yield
    finally:
        del os.environ[_OMP_WAIT_POLICY_VAR]


def describe_process() -> str:
    """Return a readable identifier of this process: ``process 12 on laptop``."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def is_local_process(process: str) -> bool:
    """Return whether an identifier from `describe_process` names a process of this machine."""
    return process.endswith(f" on {socket.gethostname()}")
