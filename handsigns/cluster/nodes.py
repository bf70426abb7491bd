"""Machines that trials can run on: this one, or the nodes of a Ray cluster."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from handsigns.host import available_cpus

_NVIDIA_SMI_TIMEOUT_S = 60.0
"""Timeout of `nvidia-smi`; it takes seconds for each GPU that no process keeps initialized."""

_VISIBLE_DEVICE = re.compile(r"\s*(\d|GPU-|MIG-)")
"""Start of a valid entry of ``CUDA_VISIBLE_DEVICES``: the number or UUID of a device."""


@dataclass(frozen=True)
class Node:
    """Resources of a machine.

    Attributes:
        cpus, gpus: numbers of CPUs and GPUs.
        accelerators: accelerator types by Ray's names, such as ``T4``.
    """

    cpus: float
    gpus: float
    accelerators: frozenset[str] = frozenset()


def local_node() -> Node:
    """Return this machine's CPUs and visible NVIDIA GPUs, without starting Ray."""
    gpus = sum(line.startswith("GPU ") for line in nvidia_smi("-L"))
    visible = visible_devices()
    if visible is not None:
        gpus = min(gpus, len(visible.split(",")) if visible else 0)
    return Node(float(available_cpus()), float(gpus))


def visible_devices() -> str | None:
    """Return ``CUDA_VISIBLE_DEVICES`` up to its first invalid entry, such as -1, as CUDA reads it.

    None if it is not set.
    """
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    if devices is None:
        return None
    return ",".join(itertools.takewhile(_VISIBLE_DEVICE.match, devices.split(",")))


def nvidia_smi(*arguments: str) -> list[str]:
    """Return the lines that ``nvidia-smi`` prints; none if it is missing, or its driver hangs."""
    try:
        completed = subprocess.run(
            ["nvidia-smi", *arguments],
            capture_output=True,
            text=True,
            timeout=_NVIDIA_SMI_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return completed.stdout.splitlines()


def alive_nodes(ray_nodes: Iterable[Mapping[str, object]]) -> list[Node]:
    """Return the nodes that are alive among those that ``ray.nodes()`` lists."""
    return [_parse_node(entry["Resources"]) for entry in ray_nodes if entry.get("Alive")]


def _parse_node(resources: object) -> Node:
    assert isinstance(resources, Mapping)
    types = (name.partition("accelerator_type:")[2] for name in resources)
    return Node(
        float(resources.get("CPU", 0.0)),
        float(resources.get("GPU", 0.0)),
        frozenset(filter(None, types)),
    )
