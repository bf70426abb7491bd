"""Machines that trials can run on: this one, or the nodes of a Ray cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from handsigns.host import available_cpus


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
    gpus = 0
    if shutil.which("nvidia-smi"):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        gpus = listing.stdout.count("GPU ")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:  # as Ray reads it
        devices = [] if visible in ("", "NoDevFiles") else visible.split(",")
        gpus = min(gpus, len(devices))
    return Node(float(available_cpus()), float(gpus))


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
