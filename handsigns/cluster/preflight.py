"""Checks of a cluster's nodes before the first trial: checkpoint storage, packages and MPS."""

from __future__ import annotations

import contextlib
import errno
import platform
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handsigns.cluster.mps import mps_active
from handsigns.cluster.remote import run_on_nodes
from handsigns.cluster.resources import ResourceAllocation
from handsigns.config.execution import Resources
from handsigns.console.format import pluralize
from handsigns.errors import ResourceError
from handsigns.io.storage import FolderStorage, Storage, check_writable
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.environment import package_version

_PACKAGES = ("torch", "torchvision", "numpy", "ray", "safetensors")
"""Packages that trials import; with other versions their results may differ."""


@dataclass(frozen=True)
class NodeReport:
    """Result of probing a node.

    Attributes:
        host: host name.
        versions: versions of Python and of packages; None for one that is not installed.
        problem: why the node cannot read and write checkpoints; empty if it can.
        mps: whether an MPS daemon answers on the node.
    """

    host: str
    versions: Mapping[str, str | None]
    problem: str
    mps: bool


def check_nodes(
    checkpoints: CheckpointStore, allocation: ResourceAllocation, resources: Resources
) -> list[str]:
    """Have every node on which a trial fits read from and write to the checkpoint storage.

    Args:
        checkpoints: where trials store their checkpoints.
        allocation: resources of a trial.
        resources: the resources that the user requested.

    Returns:
        Notes for the user: packages whose version on a node differs from this machine's, and nodes
        whose GPUs are shared without MPS.

    Raises:
        ResourceError: nodes have no access, lack a package, or do not respond, or lack MPS although
            `resources.mps` is ``on``; with the reasons.
    """
    storage = checkpoints.storage
    name, content = f".probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
    try:
        storage.write(name, content)
        reports, problems = run_on_nodes(probe_node, storage, name, content, allocation=allocation)
    except OSError as error:
        raise ResourceError(f"cannot write to {storage} from this machine: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            storage.remove(name)
    problems |= {
        host: f"{', '.join(missing)} not installed"
        for host, report in reports.items()
        if (missing := [package for package, v in report.versions.items() if v is None])
    }
    no_access = {host: report.problem for host, report in reports.items() if report.problem}
    if no_access or problems:
        num_nodes = len(reports.keys() | problems.keys())
        raise ResourceError(_preflight_error_message(storage, no_access, problems, num_nodes))
    without_mps = [host for host, report in reports.items() if not report.mps]
    notes = _mps_notes(without_mps, resources) if 0 < allocation.gpus_per_trial < 1 else []
    local_versions = _versions()
    return notes + [
        f"{host} has {package} {version}, this machine {local_versions[package]}: results of "
        f"trials there may differ"
        for host, report in reports.items()
        for package, version in report.versions.items()
        if version != local_versions[package]
    ]


def probe_node(storage: Storage, name: str, content: bytes) -> NodeReport:
    """Check, on a node, that a file written elsewhere can be read and another one written."""
    problem = ""
    try:
        if storage.read(name) != content:
            raise OSError(errno.EIO, "content read differs from content written", str(storage))
        check_writable(storage)
    except OSError as error:
        problem = f"{error.strerror or error}"
    return NodeReport(socket.gethostname(), _versions(), problem, mps_active())


def _mps_notes(without_mps: Sequence[str], resources: Resources) -> list[str]:
    """Return a note on the nodes with shared GPUs that lack MPS.

    Raises:
        ResourceError: `resources.mps` is ``on``.
    """
    if not without_mps or resources.mps == "off":
        return []
    nodes, how = ", ".join(without_mps), '"GPU nodes: MPS" in docs/tutorials/cluster.md'
    if resources.mps == "on":
        raise ResourceError(
            f"resources.mps is on, but no MPS daemon answers on {nodes}; start one there ({how}), "
            f"or use --set resources.mps=auto"
        )
    return [
        f"no MPS daemon answers on {nodes}: trials that share a GPU there take turns on it; to "
        f"start one see {how}"
    ]


def _versions() -> dict[str, str | None]:
    packages = {name: package_version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **packages}


def _preflight_error_message(
    storage: Storage, no_access: Mapping[str, str], problems: Mapping[str, str], num_nodes: int
) -> str:
    lines = []
    if no_access:
        lines.append(f"{len(no_access)} of {pluralize(num_nodes, 'node')} cannot access {storage}:")
        lines += [f"  {host}: {problem}" for host, problem in no_access.items()]
        lines.append(
            "choose a storage location that all nodes can access: a shared folder, mounted at the "
            "same path on each (--storage /mnt/shared/runs), or an object store "
            "(--storage s3://bucket/runs)"
            if isinstance(storage, FolderStorage)
            else "give the nodes credentials with read and write access to it: in the environment "
            "of their 'ray start', a profile, or the role of the machine"
        )
    lines += [f"{host}: {problem}" for host, problem in problems.items()]
    if problems:
        lines.append(
            "nodes need the packages of requirements.txt (pip install -r requirements.txt); "
            "handsigns itself is shipped to them"
        )
    return "\n".join(lines)
