"""Number of concurrent trials on a cluster whose nodes come and go."""

from __future__ import annotations

import time
from collections.abc import Callable

from handsigns.cluster.nodes import Node
from handsigns.cluster.resources import ResourceAllocation
from handsigns.config.execution import Resources
from handsigns.io.throttle import Throttle


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
