"""Allocation of CPUs and GPUs to concurrent trials, on one machine or a cluster."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from handsigns.cluster.nodes import Node
from handsigns.config.execution import Resources
from handsigns.console.format import pluralize
from handsigns.errors import ResourceError

_ACCELERATOR_TYPE_SHARE = 0.001
"""Fraction of a node's accelerator-type resource that a trial takes; the node's trials share it."""


@dataclass(frozen=True)
class GpuSharing:
    """How many trials share a GPU, with ``auto``.

    Attributes:
        trials_per_gpu: number of trials per GPU; the default is for GPUs that were not measured.
        min_cpus_per_trial: CPUs that a trial needs to keep its GPU busy.
    """

    trials_per_gpu: int = 4
    min_cpus_per_trial: float = 1.0


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
        by_cpu = _num_fitting(node.cpus, self.cpus_per_trial)
        if not self.gpus_per_trial:
            return by_cpu
        return min(by_cpu, _num_fitting_gpus(node.gpus, self.gpus_per_trial))

    def __str__(self) -> str:
        gpus = f" and {_with_unit(self.total_gpus, 'GPU')}" if self.total_gpus else ""
        nodes = f" of {self.num_nodes} nodes" if self.num_nodes > 1 else ""
        cpus = _with_unit(self.total_cpus, "CPU")
        return f"{pluralize(self.max_concurrent, 'trial')} at a time on {cpus}{gpus}{nodes}"


def _with_unit(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def allocate(
    resources: Resources,
    nodes: Sequence[Node],
    *,
    autoscaling: bool = False,
    sharing: GpuSharing = GpuSharing(),
    num_trials: int | None = None,
) -> ResourceAllocation:
    """Allocate the nodes' resources to trials.

    With ``auto``, a trial gets a fraction of a GPU and an even share of its node's CPUs, possibly a
    fraction of one, where there are GPUs, and one CPU otherwise. If there are fewer trials than
    that, each gets more.

    Args:
        resources: the resources that the user requested.
        nodes: nodes of the machine or cluster.
        autoscaling: whether nodes may be added for pending trials; if the user sets the number
            of concurrent trials, none needs to fit yet.
        sharing: how many trials share a GPU with ``auto``.
        num_trials: number of trials in all; None if they are more than can run concurrently.

    Raises:
        ResourceError: a single trial requests more than any node has.
    """
    eligible = [node for node in nodes if node.cpus]
    if resources.accelerator_type is not None:
        eligible = [node for node in eligible if resources.accelerator_type in node.accelerators]
    requested = resources.max_concurrent_trials
    if num_trials is not None and requested != "auto":
        num_trials = min(num_trials, requested)
    gpus = _gpus_per_trial(resources, eligible, sharing, num_trials)
    cpus = _cpus_per_trial(resources, eligible, gpus, sharing, num_trials)
    allocation = ResourceAllocation(
        cpus_per_trial=cpus,
        gpus_per_trial=gpus,
        max_concurrent=0,
        total_cpus=sum(node.cpus for node in eligible),
        total_gpus=sum(node.gpus for node in eligible),
        num_nodes=len(eligible),
        accelerator_type=resources.accelerator_type,
    )
    count = allocation.max_trials_on(eligible)
    if not count and not (autoscaling and requested != "auto"):
        raise ResourceError(_resource_error_message(allocation, eligible, autoscaling=autoscaling))
    if requested != "auto":
        count = requested if autoscaling else min(count, requested)
    return replace(allocation, max_concurrent=min(count, num_trials or count))


def _gpus_per_trial(
    resources: Resources, nodes: Sequence[Node], sharing: GpuSharing, num_trials: int | None
) -> float:
    if resources.gpus_per_trial != "auto":
        return float(resources.gpus_per_trial)
    total = int(sum(node.gpus for node in nodes))
    if not total:
        return 0.0
    per_gpu = sharing.trials_per_gpu
    if num_trials is not None:
        per_gpu = min(per_gpu, math.ceil(num_trials / total))
    # Ray counts in units of 1e-4; rounded down, three thirds fit on one GPU.
    return math.floor(1e4 / per_gpu) / 1e4


def _cpus_per_trial(
    resources: Resources,
    nodes: Sequence[Node],
    gpus: float,
    sharing: GpuSharing,
    num_trials: int | None,
) -> float:
    if resources.cpus_per_trial != "auto":
        return float(resources.cpus_per_trial)
    if not gpus:
        return 1.0 if num_trials is None else _share_of_cpus(nodes, num_trials)
    trials_by_node = [(node.cpus, _num_fitting_gpus(node.gpus, gpus)) for node in nodes]
    share = min((cpus / trials for cpus, trials in trials_by_node if trials), default=1.0)
    share = float(math.floor(share)) if share >= 1 else math.floor(share * 100) / 100
    return max(share, sharing.min_cpus_per_trial)


def _share_of_cpus(nodes: Sequence[Node], num_trials: int) -> float:
    """Return the most CPUs with which all trials run concurrently; 1 if even that is too many."""
    most = int(max((node.cpus for node in nodes), default=1))
    shares = (
        cpus
        for cpus in range(most, 1, -1)
        if sum(_num_fitting(node.cpus, cpus) for node in nodes) >= num_trials
    )
    return float(next(shares, 1))


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


def _num_fitting_gpus(gpus: float, per_trial: float) -> int:
    """Return how many trials fit; a fraction of a GPU cannot span two GPUs."""
    return int(gpus) * int(1 / per_trial + 1e-9) if per_trial < 1 else _num_fitting(gpus, per_trial)


def _num_fitting(total: float, per_trial: float) -> int:
    return int(total / per_trial + 1e-9)
