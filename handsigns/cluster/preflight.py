"""Looks, before the first trial, whether the nodes of a cluster can do what trials need."""

from __future__ import annotations

import contextlib
import errno
import platform
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from handsigns.cluster.remote import ask_nodes
from handsigns.cluster.resources import Slots
from handsigns.console.format import counted
from handsigns.errors import ResourceError
from handsigns.io.storage import FolderStorage, Storage, check_writable
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.environment import package_version

_PACKAGES = ("torch", "torchvision", "numpy", "ray", "safetensors")
"""What trials load; with other versions they may come out otherwise."""


@dataclass(frozen=True)
class Answer:
    """What a node tells of itself.

    Attributes:
        host: its name.
        versions: of Python and of packages; None for one that is not installed.
        problem: why it cannot read and write checkpoints; empty where it can.
    """

    host: str
    versions: Mapping[str, str | None]
    problem: str


def check_nodes(checkpoints: Checkpoints, slots: Slots) -> list[str]:
    """Have every node on which a trial fits read and write where checkpoints are kept.

    Returns:
        what the user should know: nodes with other versions than this machine's.

    Raises:
        ResourceError: nodes cannot, lack a package, or do not answer; each with its reason.
    """
    place = checkpoints.place
    name, content = f".probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
    try:
        place.write(name, content)
        answers, problems = ask_nodes(answer, place, name, content, slots=slots)
    except OSError as error:
        raise ResourceError(f"{place} cannot be written from here: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            place.remove(name)
    problems |= {
        host: f"{', '.join(missing)} not installed"
        for host, answer in answers.items()
        if (missing := [package for package, v in answer.versions.items() if v is None])
    }
    unreachable = {host: answer.problem for host, answer in answers.items() if answer.problem}
    if unreachable or problems:
        asked = len(answers) + len(problems)
        raise ResourceError(_refusal(place, unreachable, problems, asked))
    here = _versions()
    return [
        f"{host} has {package} {version}, and this machine {here[package]}: a trial may come out "
        f"otherwise there"
        for host, answer in answers.items()
        for package, version in answer.versions.items()
        if version != here[package]
    ]


def answer(place: Storage, name: str, content: bytes) -> Answer:
    """On a node: whether the file written elsewhere is there, and another can be written."""
    problem = ""
    try:
        if place.read(name) != content:
            raise OSError(errno.EIO, "what is read there is not what was written", str(place))
        check_writable(place)
    except OSError as error:
        problem = f"{error.strerror or error}"
    return Answer(socket.gethostname(), _versions(), problem)


def _versions() -> dict[str, str | None]:
    packages = {name: package_version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **packages}


def _refusal(
    place: Storage, unreachable: Mapping[str, str], problems: Mapping[str, str], asked: int
) -> str:
    lines = []
    if unreachable:
        lines.append(f"{len(unreachable)} of {counted(asked, 'node')} cannot use {place}:")
        lines += [f"  {host}: {problem}" for host, problem in unreachable.items()]
        lines.append(
            "name a place that all nodes reach: a shared folder, which each has at the same path "
            "(--storage /mnt/shared/runs), or an object store (--storage s3://bucket/runs)"
            if isinstance(place, FolderStorage)
            else "give the nodes credentials that may read and write there: in the environment of "
            "their 'ray start', a profile, or the role of the machine"
        )
    lines += [f"{host}: {problem}" for host, problem in problems.items()]
    if problems:
        lines.append(
            "nodes need the packages of requirements.txt (pip install -r requirements.txt); the "
            "code of handsigns itself is handed to them"
        )
    return "\n".join(lines)
