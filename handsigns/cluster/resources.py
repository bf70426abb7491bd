"""How many trials fit, each with its CPUs and its share of a GPU, on one machine or many."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from handsigns.config.search import Resources
from handsigns.console.format import counted
from handsigns.errors import ResourceError
from handsigns.host import available_cpus
from handsigns.io.throttle import Throttle

PER_GPU = 4
"""Trials that share a GPU where that is not measured."""
_ANY = 0.001
"""Of a node's accelerator type, which says that it has one; all trials of a node share it."""


@dataclass(frozen=True)
class Node:
    """What a machine offers to trials.

    Attributes:
        cpus, gpus: how many.
        accelerators: types of accelerators in Ray's words, such as ``T4``.
    """

    cpus: float
    gpus: float
    accelerators: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Slots:
    """How trials share what there is.

    Attributes:
        cpus, gpus: of each trial; GPUs may be a fraction.
        accelerator: type that a trial's node must have; None takes any.
        count: trials at the same time, on the nodes that there were.
        total_cpus, total_gpus: of all nodes.
        nodes: how many those were.
    """

    cpus: float
    gpus: float
    count: int
    total_cpus: float
    total_gpus: float
    nodes: int = 1
    accelerator: str | None = None

    @property
    def threads(self) -> int:
        """CPU threads of each trial."""
        return max(1, int(self.cpus))

    @property
    def request(self) -> dict[str, float]:
        """What a trial asks Ray for."""
        wanted = {"cpu": self.cpus, "gpu": self.gpus}
        if self.accelerator is not None:
            wanted[f"accelerator_type:{self.accelerator}"] = _ANY
        return wanted

    def fitting(self, nodes: Iterable[Node]) -> int:
        """How many such trials fit on these nodes at the same time."""
        return sum(self._fitting_on(node) for node in nodes)

    def _fitting_on(self, node: Node) -> int:
        if self.accelerator is not None and self.accelerator not in node.accelerators:
            return 0
        by_gpu = _fitting(node.gpus, self.gpus) if self.gpus else math.inf
        return int(min(by_gpu, _fitting(node.cpus, self.cpus)))

    def __str__(self) -> str:
        gpus = f" and {_units(self.total_gpus, 'GPU')}" if self.total_gpus else ""
        nodes = f" of {self.nodes} nodes" if self.nodes > 1 else ""
        cpus = _units(self.total_cpus, "CPU")
        return f"{counted(self.count, 'trial')} at a time on {cpus}{gpus}{nodes}"


def _units(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def this_machine() -> Node:
    """CPUs and NVIDIA GPUs here, without starting Ray; what a dry run reckons with."""
    gpus = 0
    if shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        gpus = listed.stdout.count("GPU ")
    return Node(float(available_cpus()), float(gpus))


def nodes_of(listed: Iterable[Mapping[str, object]]) -> list[Node]:
    """The nodes that are alive, from what Ray lists."""
    return [_node(entry["Resources"]) for entry in listed if entry.get("Alive")]


def _node(resources: object) -> Node:
    assert isinstance(resources, Mapping)
    types = (name.partition("accelerator_type:")[2] for name in resources)
    return Node(
        float(resources.get("CPU", 0.0)),
        float(resources.get("GPU", 0.0)),
        frozenset(filter(None, types)),
    )


def share_out(
    resources: Resources,
    nodes: Sequence[Node],
    *,
    growing: bool = False,
    per_gpu: int = PER_GPU,
) -> Slots:
    """Fit trials into what there is.

    ``auto`` gives a trial a fraction of a GPU where there are GPUs, an even share of their node's
    CPUs then, and one CPU otherwise.

    Args:
        resources: as the user wants them.
        nodes: of the machine or cluster.
        growing: nodes may come for trials that wait for them; so where the user says how many
            trials are to run at a time, none need fit yet.
        per_gpu: trials that share a GPU, with ``auto``.

    Raises:
        ResourceError: a single trial asks for more than any node has.
    """
    able = [node for node in nodes if node.cpus]
    if resources.accelerator_type is not None:
        able = [node for node in able if resources.accelerator_type in node.accelerators]
    gpus = _gpus_each(resources, able, per_gpu)
    cpus = _cpus_each(resources, able, gpus)
    slots = Slots(
        cpus=cpus,
        gpus=gpus,
        count=0,
        total_cpus=sum(node.cpus for node in able),
        total_gpus=sum(node.gpus for node in able),
        nodes=len(able),
        accelerator=resources.accelerator_type,
    )
    count, wanted = slots.fitting(able), resources.concurrent_trials
    if not count and not (growing and wanted != "auto"):
        raise ResourceError(_refusal(slots, able, growing=growing))
    if wanted != "auto":
        count = wanted if growing else min(count, wanted)
    return replace(slots, count=count)


def _gpus_each(resources: Resources, nodes: Sequence[Node], per_gpu: int) -> float:
    if resources.gpus_per_trial != "auto":
        return float(resources.gpus_per_trial)
    # Ray counts ten-thousandths: a third that is rounded down three times fits.
    return math.floor(1e4 / per_gpu) / 1e4 if any(node.gpus for node in nodes) else 0.0


def _cpus_each(resources: Resources, nodes: Sequence[Node], gpus: float) -> float:
    if resources.cpus_per_trial != "auto":
        return float(resources.cpus_per_trial)
    if not gpus:
        return 1.0
    sharing = [(node.cpus, _fitting(node.gpus, gpus)) for node in nodes]
    return min((float(max(1, cpus // trials)) for cpus, trials in sharing if trials), default=1.0)


def _refusal(slots: Slots, nodes: Sequence[Node], *, growing: bool) -> str:
    """Why not one trial fits, and what to do."""
    later = (
        "; or, if the cluster starts nodes as they are needed, say for how many trials at a time: "
        "--set resources.concurrent_trials=16"
        if growing
        else ""
    )
    if not nodes:
        kind = f" with a {slots.accelerator}" if slots.accelerator else ""
        return f"there is no node{kind} that has CPUs for trials; start one{later}"
    gpus = max(node.gpus for node in nodes)
    if slots.gpus > gpus:
        return (
            f"resources.gpus_per_trial is {slots.gpus:g}, but {_have(nodes, gpus, 'GPU')}; use "
            f"--gpus-per-trial 0 to train on CPUs{later}"
        )
    cpus = max(node.cpus for node in nodes if node.gpus >= slots.gpus)
    fewer, beside = max(1, int(cpus)), " beside so many GPUs" if slots.gpus else ""
    return (
        f"resources.cpus_per_trial is {slots.cpus:g}, but {_have(nodes, cpus, 'CPU')}{beside}; use "
        f"--cpus-per-trial {fewer} or less{later}"
    )


def _have(nodes: Sequence[Node], most: float, noun: str) -> str:
    one = "there is" if most == 1 else "there are"
    return f"{'a node has at most' if len(nodes) > 1 else one} {_units(most, noun)}"


def _fitting(total: float, each: float) -> int:
    """How many trials fit; a fraction of a GPU cannot be put together from two."""
    if each < 1:
        return int(total) * int(1 / each + 1e-9)
    return int(total / each + 1e-9)


class Room:
    """For how many trials there is room at a time, as nodes come and go.

    Args:
        slots: what a trial takes.
        resources: as the user wants them.
        nodes: tells the nodes as they are now; None where they stay as they were.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        slots: Slots,
        resources: Resources,
        nodes: Callable[[], list[Node]] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._wanted = resources.concurrent_trials
        self._nodes = nodes
        self._count = slots.count
        self._throttle = Throttle(interval_s=2.0, clock=clock)

    def __call__(self) -> int:
        """How many now. On a cluster that may grow, a number that the user gave: trials that wait
        are what makes it grow. And always one, which waits where all nodes are gone.
        """
        if self._nodes is None:
            return self._count
        if self._wanted != "auto":
            return self._wanted
        if self._throttle.due:
            with self._throttle.work():
                self._count = max(1, self._slots.fitting(self._nodes()))
        return self._count
