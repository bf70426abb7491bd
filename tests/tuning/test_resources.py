import stat

import pytest

from handsigns.cluster.resources import Node, Room, nodes_of, share_out
from handsigns.cluster.session import new_token
from handsigns.config.search import Resources
from handsigns.errors import ResourceError


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "cpus_each", "gpus_each", "count"),
    [
        ({}, 2, 0, 1, 0, 2),
        ({}, 16, 1, 4, 0.25, 4),
        ({}, 16, 4, 1, 0.25, 16),
        ({"cpus_per_trial": 4}, 10, 0, 4, 0, 2),
        ({"cpus_per_trial": 0.5}, 3, 0, 0.5, 0, 6),
        ({"gpus_per_trial": 0.4}, 8, 2, 2, 0.4, 4),
        ({"gpus_per_trial": 2}, 8, 4, 4, 2, 2),
        ({"gpus_per_trial": 0}, 8, 4, 1, 0, 8),
        ({"concurrent_trials": 3}, 8, 0, 1, 0, 3),
        ({"concurrent_trials": 30}, 8, 0, 1, 0, 8),
    ],
)
def test_trials_fit_into_what_there_is(asked, cpus, gpus, cpus_each, gpus_each, count):
    slots = share_out(Resources(**asked), [Node(cpus, gpus)])
    assert (slots.cpus, slots.gpus, slots.count) == (cpus_each, gpus_each, count)
    assert slots.cpus * slots.count <= cpus
    assert slots.threads >= 1


@pytest.mark.parametrize(
    ("per_gpu", "cpus_each", "count"), [(1, 8, 2), (3, 2, 6), (7, 1, 14), (16, 1, 16)]
)
def test_as_many_share_a_gpu_as_was_measured(per_gpu, cpus_each, count):
    slots = share_out(Resources(), [Node(8, 1)] * 2, per_gpu=per_gpu)
    assert (slots.cpus, slots.count) == (cpus_each, count)
    assert slots.gpus * per_gpu <= 1
    asked = Resources(gpus_per_trial=0.5)  # the user's word
    assert share_out(asked, [Node(8, 1)], per_gpu=per_gpu).gpus == 0.5


def test_more_than_there_is():
    two = [Node(2, 0)]
    with pytest.raises(ResourceError, match="cpus_per_trial is 8, but there are 2 CPUs; use"):
        share_out(Resources(cpus_per_trial=8), two)
    with pytest.raises(ResourceError, match="gpus_per_trial is 1, but there are 0 GPUs; use"):
        share_out(Resources(gpus_per_trial=1), two)


@pytest.mark.parametrize(
    ("asked", "nodes", "each", "count"),
    [
        ({}, [Node(0, 0), Node(2, 0), Node(3, 0)], (1, 0), 5),  # a head without CPUs
        ({"cpus_per_trial": 2}, [Node(3, 0)] * 3, (2, 0), 3),  # what is left of two makes no third
        ({}, [Node(8, 1), Node(32, 0)], (2, 0.25), 4),  # trials with a GPU: on nodes with GPUs
        ({"gpus_per_trial": 0}, [Node(8, 1), Node(32, 0)], (1, 0), 40),
        ({}, [Node(8, 1), Node(4, 1)], (1, 0.25), 8),  # an even share of the smallest
        ({"gpus_per_trial": 0.5}, [Node(8, 1)] * 2, (4, 0.5), 4),
        ({"accelerator_type": "T4"}, [Node(8, 1, frozenset({"T4"})), Node(8, 1)], (2, 0.25), 4),
        ({"concurrent_trials": 3}, [Node(2, 0), Node(2, 0)], (1, 0), 3),
    ],
)
def test_trials_fit_into_nodes(asked, nodes, each, count):
    slots = share_out(Resources(**asked), nodes)
    assert ((slots.cpus, slots.gpus), slots.count) == (each, count)


def test_what_no_node_has():
    nodes = [Node(2, 0), Node(4, 0)]
    with pytest.raises(ResourceError, match="a node has at most 4 CPUs; use --cpus-per-trial 4"):
        share_out(Resources(cpus_per_trial=6), nodes)
    with pytest.raises(ResourceError, match="4, but a node has at most 1 CPU beside so many GPUs"):
        share_out(Resources(cpus_per_trial=4, gpus_per_trial=1), [Node(8, 0), Node(1, 1)])
    with pytest.raises(ResourceError, match="no node with a T4"):
        share_out(Resources(accelerator_type="T4"), nodes)
    with pytest.raises(ResourceError, match=r"no node that has CPUs.*concurrent_trials=16"):
        share_out(Resources(), [Node(0, 0)], growing=True)


def test_a_cluster_without_nodes_may_grow_for_trials_that_wait():
    resources = Resources(concurrent_trials=16)
    with pytest.raises(ResourceError, match="no node"):
        share_out(resources, [Node(0, 0)])
    slots = share_out(resources, [Node(0, 0)], growing=True)
    assert slots.count == 16
    assert Room(slots, resources, nodes=lambda: [])() == 16


def test_nodes_as_ray_lists_them():
    listed = [
        {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0, "accelerator_type:A10G": 1.0}},
        {"Alive": False, "Resources": {"CPU": 9.0}},
        {"Alive": True, "Resources": {"node:10.0.0.1": 1.0}},
    ]
    assert nodes_of(listed) == [Node(4, 1, frozenset({"A10G"})), Node(0, 0)]


def test_room_follows_nodes_that_come_and_go():
    now, nodes = [0.0], [Node(2, 0)]
    resources = Resources()
    room = Room(share_out(resources, nodes), resources, lambda: nodes, clock=lambda: now[0])
    assert room() == 2
    nodes.append(Node(4, 0))
    assert room() == 2, "it does not look at each call"
    now[0] = 3.0
    assert room() == 6
    nodes.clear()
    now[0] = 6.0
    assert room() == 1, "one waits for a node to come back"


def test_a_type_of_accelerator_is_asked_of_ray():
    node = Node(8, 1, frozenset({"T4"}))
    slots = share_out(Resources(accelerator_type="T4", gpus_per_trial=1), [node])
    assert slots.request == {"cpu": 8, "gpu": 1, "accelerator_type:T4": 0.001}


def test_the_token_is_its_owners_alone(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    paths = [new_token(folder) for folder in folders]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert len({path.read_text() for path in paths}) == 2
    assert all(len(path.read_text()) == 64 for path in paths)
