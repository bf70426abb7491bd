"""Remote calls of a function on the nodes of a running Ray, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from handsigns.cluster.nodes import alive_nodes
from handsigns.cluster.resources import ResourceAllocation

_PROBE_TIMEOUT_S = 120.0
"""Timeout of a call; a busy node takes long to start a process."""
_T = TypeVar("_T")


def run_on_nodes(
    fn: Callable[..., _T], *args: object, allocation: ResourceAllocation, gpus: int = 0
) -> tuple[dict[str, _T], dict[str, str]]:
    """Call a function on every node on which a trial fits.

    Args:
        fn: a function of a module that nodes can import.
        *args: its arguments.
        allocation: resources of a trial.
        gpus: GPUs that the call reserves on its node.

    Returns:
        The results by node name, and the reasons of the nodes that returned none.
    """
    probe = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(fn)
    node_of_ref: dict[Any, str] = {}
    for node in ray.nodes():
        if allocation.max_trials_on(alive_nodes([node])):
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            node_of_ref[probe.options(scheduling_strategy=strategy).remote(*args)] = name
    if not node_of_ref:
        return {}, {}
    results, problems = {}, {}
    ready, pending = ray.wait(
        list(node_of_ref), num_returns=len(node_of_ref), timeout=_PROBE_TIMEOUT_S
    )
    for ref in ready:
        try:
            results[node_of_ref[ref]] = ray.get(ref)
        except ray.exceptions.RayError as error:
            problems[node_of_ref[ref]] = str(error).strip().splitlines()[-1]
    for ref in pending:
        ray.cancel(ref, force=True)
        problems[node_of_ref[ref]] = f"no response within {_PROBE_TIMEOUT_S:.0f} seconds"
    return results, problems
