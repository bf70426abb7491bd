"""Allocation of a Ray cluster's resources to the trials of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ray

from handsigns.cluster.capacity import WorkerCapacity
from handsigns.cluster.gpu_sharing import measure_gpu_sharing
from handsigns.cluster.nodes import Node, alive_nodes
from handsigns.cluster.preflight import check_nodes
from handsigns.cluster.resources import ResourceAllocation, allocate
from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode
from handsigns.data.dataset import DataSet
from handsigns.results.checkpoints import CheckpointStore

if TYPE_CHECKING:
    from handsigns.policy.limited_space import LimitedSpace


def allocate_on_cluster(
    search_config: SearchConfig,
    data: DataSet,
    checkpoints: CheckpointStore,
    user_code: UserCode | None,
    notify: Callable[[str], None],
    *,
    joined: bool,
    num_trials: int | None = None,
    limited_space: LimitedSpace | None = None,
) -> tuple[ResourceAllocation, WorkerCapacity]:
    """Allocate resources to trials, after a check of the nodes of a joined cluster.

    Args:
        notify: prints a notice.
        joined: whether Ray was joined, not started here; nodes may then be added and removed.
        num_trials: see `allocate`.
        limited_space: the part of the space that is within the limits; None without limits.

    Raises:
        ResourceError: a trial requests more than any node has, or a node fails the check.
    """
    resources = search_config.resources
    allocation = allocate(resources, _nodes(), autoscaling=joined, num_trials=num_trials)
    if joined:
        for note in check_nodes(checkpoints, allocation, resources):
            notify(note)
    if 0 < allocation.gpus_per_trial < 1 and resources.gpus_per_trial == "auto":
        notify("measuring how many trials share a GPU")
        sharing, notes = measure_gpu_sharing(
            search_config, data, user_code, allocation, limited_space
        )
        allocation = allocate(
            resources, _nodes(), autoscaling=joined, sharing=sharing, num_trials=num_trials
        )
        for note in notes:
            notify(note)
    return allocation, WorkerCapacity(allocation, resources, _nodes if joined else None)


def _nodes() -> list[Node]:
    return alive_nodes(ray.nodes())
