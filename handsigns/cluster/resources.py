"""Allocation of CPUs and GPUs to concurrent trials, on one machine or a cluster."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from handsigns.config.sections import Resources
from handsigns.console.format import pluralize
from handsigns.errors import ResourceError
from handsigns.host import available_cpus
from handsigns.io.throttle import Throttle

DEFAULT_TRIALS_PER_GPU = 4
"""Trials per GPU if not measured."""
_ACCELERATOR_TYPE_SHARE = 0.001
"""Fraction of a node's accelerator-type resource that a trial takes; the node's trials share it."""


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


@dataclass(frozen=True)
class ResourceAllocation:
    """Resources of each trial, and the number of trials that run concurrently.

    Attributes:
        cpus_per_trial, gpus_per_trial: resources of a trial; GPUs may be a fraction.
        max_concurrent: number of concurrent trials on the nodes at the time of allocation.
        total_cpus, total_gpus: sums over all nodes.
        num_nodes: number of nodes.
        accelerator_type: type that a trial's node must have; None for any.
    """

    cpus_per_trial: float
    gpus_per_trial: float
    max_concurrent: int
    total_cpus: float
    total_gpus: float
    num_nodes: int = 1
    accelerator_type: str | None = None

    @property
    def threads(self) -> int:
        """Number of CPU threads of each trial."""
        return max(1, int(self.cpus_per_trial))

    @property
    def tune_resources(self) -> dict[str, float]:
        """Resource request of a trial in Ray's format."""
        requested = {"cpu": self.cpus_per_trial, "gpu": self.gpus_per_trial}
        if self.accelerator_type is not None:
            requested[f"accelerator_type:{self.accelerator_type}"] = _ACCELERATOR_TYPE_SHARE
        return requested

    def max_trials_on(self, nodes: Iterable[Node]) -> int:
        """Return how many trials fit on these nodes concurrently."""
        return sum(self._max_trials_on_node(node) for node in nodes)

    def _max_trials_on_node(self, node: Node) -> int:
        if self.accelerator_type is not None and self.accelerator_type not in node.accelerators:
            return 0
        by_gpu = _num_fitting(node.gpus, self.gpus_per_trial) if self.gpus_per_trial else math.inf
        return int(min(by_gpu, _num_fitting(node.cpus, self.cpus_per_trial)))

    def __str__(self) -> str:
        gpus = f" and {_with_unit(self.total_gpus, 'GPU')}" if self.total_gpus else ""
        nodes = f" of {self.num_nodes} nodes" if self.num_nodes > 1 else ""
        cpus = _with_unit(self.total_cpus, "CPU")
        return f"{pluralize(self.max_concurrent, 'trial')} at a time on {cpus}{gpus}{nodes}"


def _with_unit(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def local_node() -> Node:
    """Return this machine's CPUs and NVIDIA GPUs without starting Ray, for a dry run."""
    gpus = 0
    if shutil.which("nvidia-smi"):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        gpus = listing.stdout.count("GPU ")
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


def allocate(
    resources: Resources,
    nodes: Sequence[Node],
    *,
    autoscaling: bool = False,
    per_gpu: int = DEFAULT_TRIALS_PER_GPU,
) -> ResourceAllocation:
    """Allocate the nodes' resources to trials.

    With ``auto``, a trial gets a fraction of a GPU and an even share of its node's CPUs where there
    are GPUs, and one CPU otherwise.

    Args:
        resources: the resources that the user requested.
        nodes: nodes of the machine or cluster.
        autoscaling: whether nodes may be added for pending trials; if the user sets the number
            of concurrent trials, none needs to fit yet.
        per_gpu: number of trials per GPU with ``auto``.

    Raises:
        ResourceError: a single trial requests more than any node has.
    """
    eligible = [node for node in nodes if node.cpus]
    if resources.accelerator_type is not None:
        eligible = [node for node in eligible if resources.accelerator_type in node.accelerators]
    gpus = _gpus_per_trial(resources, eligible, per_gpu)
    cpus = _cpus_per_trial(resources, eligible, gpus)
    allocation = ResourceAllocation(
        cpus_per_trial=cpus,
        gpus_per_trial=gpus,
        max_concurrent=0,
        total_cpus=sum(node.cpus for node in eligible),
        total_gpus=sum(node.gpus for node in eligible),
        num_nodes=len(eligible),
        accelerator_type=resources.accelerator_type,
    )
    count, requested = allocation.max_trials_on(eligible), resources.max_concurrent_trials
    if not count and not (autoscaling and requested != "auto"):
        raise ResourceError(_resource_error_message(allocation, eligible, autoscaling=autoscaling))
    if requested != "auto":
        count = requested if autoscaling else min(count, requested)
    return replace(allocation, max_concurrent=count)


def _gpus_per_trial(resources: Resources, nodes: Sequence[Node], per_gpu: int) -> float:
    if resources.gpus_per_trial != "auto":
        return float(resources.gpus_per_trial)
    # Ray counts in units of 1e-4; rounded down, three thirds fit on one GPU.
    return math.floor(1e4 / per_gpu) / 1e4 if any(node.gpus for node in nodes) else 0.0


def _cpus_per_trial(resources: Resources, nodes: Sequence[Node], gpus: float) -> float:
    if resources.cpus_per_trial != "auto":
        return float(resources.cpus_per_trial)
    if not gpus:
        return 1.0
    trials_by_node = [(node.cpus, _num_fitting(node.gpus, gpus)) for node in nodes]
    return min(
        (float(max(1, cpus // trials)) for cpus, trials in trials_by_node if trials), default=1.0
    )


def _resource_error_message(
    allocation: ResourceAllocation, nodes: Sequence[Node], *, autoscaling: bool
) -> str:
    """Return the message that no trial fits, with the remedy."""
    autoscaling_hint = (
        "; or, if the cluster starts nodes on demand, set the number of concurrent trials: "
        "--set resources.max_concurrent_trials=16"
        if autoscaling
        else ""
    )
    if not nodes:
        kind = f" with a {allocation.accelerator_type}" if allocation.accelerator_type else ""
        return f"no node{kind} has CPUs for trials; start one{autoscaling_hint}"
    gpus = max(node.gpus for node in nodes)
    if allocation.gpus_per_trial > gpus:
        return (
            f"resources.gpus_per_trial is {allocation.gpus_per_trial:g}, but "
            f"{_node_has_at_most(nodes, gpus, 'GPU')}; use "
            f"--gpus-per-trial 0 to train on CPUs{autoscaling_hint}"
        )
    cpus = max(node.cpus for node in nodes if node.gpus >= allocation.gpus_per_trial)
    with_gpus = " alongside that many GPUs" if allocation.gpus_per_trial else ""
    return (
        f"resources.cpus_per_trial is {allocation.cpus_per_trial:g}, but "
        f"{_node_has_at_most(nodes, cpus, 'CPU')}{with_gpus}; use "
        f"--cpus-per-trial {max(1, int(cpus))} or less{autoscaling_hint}"
    )


def _node_has_at_most(nodes: Sequence[Node], most: float, noun: str) -> str:
    exists = "there is" if most == 1 else "there are"
    return f"{'a node has at most' if len(nodes) > 1 else exists} {_with_unit(most, noun)}"


def _num_fitting(total: float, per_trial: float) -> int:
    """Return how many trials fit; a fraction of a GPU cannot span two GPUs."""
    if per_trial < 1:
        return int(total) * int(1 / per_trial + 1e-9)
    return int(total / per_trial + 1e-9)


class WorkerCapacity:
    """Number of trials that can run concurrently, as nodes are added and removed.

    Args:
        allocation: resources of a trial.
        resources: the resources that the user requested.
        nodes: returns the current nodes; None if they never change.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        allocation: ResourceAllocation,
        resources: Resources,
        nodes: Callable[[], list[Node]] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allocation = allocation
        self._requested = resources.max_concurrent_trials
        self._nodes = nodes
        self._count = allocation.max_concurrent
        self._throttle = Throttle(min_interval_s=2.0, clock=clock)

    def __call__(self) -> int:
        """Return the current number, which is at least one even when all nodes are gone.

        On a cluster, a number that the user set is returned as is: pending trials are what makes
        the cluster scale up.
        """
        if self._nodes is None:
            return self._count
        if self._requested != "auto":
            return self._requested
        if self._throttle.due:
            with self._throttle.measure():
                self._count = max(1, self._allocation.max_trials_on(self._nodes()))
        return self._count
