"""Has nodes of a running Ray answer a question, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from handsigns.cluster.resources import Slots, nodes_of

_ANSWER_SECONDS = 120.0
"""A node that is busy takes long to start a process."""
_T = TypeVar("_T")


def ask_nodes(
    question: Callable[..., _T], *given: object, slots: Slots, gpus: int = 0
) -> tuple[dict[str, _T], dict[str, str]]:
    """Call a function on every node on which a trial fits.

    Args:
        question: a function of a module that nodes have.
        given: what it is called with.
        slots: what a trial takes.
        gpus: that it is given there.

    Returns:
        what each node answered, by its name; and of those that did not, why.
    """
    probe = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(question)
    asked: dict[Any, str] = {}
    for node in ray.nodes():
        if slots.fitting(nodes_of([node])):
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            asked[probe.options(scheduling_strategy=place).remote(*given)] = name
    if not asked:
        return {}, {}
    answers, problems = {}, {}
    ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_SECONDS)
    for answer in ready:
        try:
            answers[asked[answer]] = ray.get(answer)
        except ray.exceptions.RayError as error:
            problems[asked[answer]] = str(error).strip().splitlines()[-1]
    for answer in late:
        ray.cancel(answer, force=True)
        problems[asked[answer]] = f"no answer within {_ANSWER_SECONDS:.0f} seconds"
    return answers, problems
