"""How the trials of a search share the nodes of a running Ray."""

from __future__ import annotations

from collections.abc import Callable

import ray

from handsigns.cluster.gpu_sharing import trials_per_gpu
from handsigns.cluster.preflight import check_nodes
from handsigns.cluster.resources import Node, Room, Slots, nodes_of, share_out
from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode
from handsigns.data.dataset import DataSet
from handsigns.results.checkpoints import Checkpoints


def allocate(
    study: StudyConfig,
    data: DataSet,
    checkpoints: Checkpoints,
    user_code: OwnCode | None,
    notify: Callable[[str], None],
    *,
    joined: bool,
) -> tuple[Slots, Room]:
    """Decide what each trial takes, on nodes that can do what is asked of them.

    Args:
        notify: prints a notice.
        joined: Ray is not our own: it may have several nodes, which may come and go.

    Raises:
        ResourceError: a trial asks for more than any node has, or nodes lack something.
    """
    resources = study.resources
    slots = share_out(resources, _nodes(), growing=joined)
    if joined:
        for note in check_nodes(checkpoints, slots):
            notify(note)
    if slots.gpus and resources.gpus_per_trial == "auto":
        notify("measuring how many trials share a GPU")
        per_gpu, note = trials_per_gpu(study, data, user_code, slots)
        slots = share_out(resources, _nodes(), growing=joined, per_gpu=per_gpu)
        notify(note)
    return slots, Room(slots, resources, _nodes if joined else None)


def _nodes() -> list[Node]:
    return nodes_of(ray.nodes())
