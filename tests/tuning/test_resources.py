import os
import shutil
import stat
import subprocess
import sys
import tempfile

import pytest

from handsigns.cluster.capacity import WorkerCapacity
from handsigns.cluster.nodes import Node, alive_nodes
from handsigns.cluster.resources import GpuSharing, allocate
from handsigns.cluster.scratch import create_token, scratch_dir
from handsigns.config.execution import Resources
from handsigns.errors import ResourceError


@pytest.mark.parametrize(
    ("requested", "cpus", "gpus", "cpus_per_trial", "gpus_per_trial", "count"),
    [
        ({}, 2, 0, 1, 0, 2),
        ({}, 16, 1, 4, 0.25, 4),
        ({}, 16, 4, 1, 0.25, 16),
        ({"cpus_per_trial": 4}, 10, 0, 4, 0, 2),
        ({"cpus_per_trial": 0.5}, 3, 0, 0.5, 0, 6),
        ({"cpus_per_trial": 0.75}, 3, 0, 0.75, 0, 4),  # may span two CPUs
        ({"gpus_per_trial": 0.4}, 8, 2, 2, 0.4, 4),
        ({"gpus_per_trial": 2}, 8, 4, 4, 2, 2),
        ({"gpus_per_trial": 0}, 8, 4, 1, 0, 8),
        ({"max_concurrent_trials": 3}, 8, 0, 1, 0, 3),
        ({"max_concurrent_trials": 30}, 8, 0, 1, 0, 8),
    ],
)
def test_allocation_on_one_machine(requested, cpus, gpus, cpus_per_trial, gpus_per_trial, count):
    allocation = allocate(Resources(**requested), [Node(cpus, gpus)])
    assert (allocation.cpus_per_trial, allocation.gpus_per_trial) == (
        cpus_per_trial, gpus_per_trial
    )  # fmt: skip
    assert allocation.max_concurrent == count
    assert allocation.cpus_per_trial * allocation.max_concurrent <= cpus
    assert allocation.threads >= 1


@pytest.mark.parametrize(
    ("sharing", "cpus_per_trial", "count"),
    [
        (GpuSharing(1), 8, 2),
        (GpuSharing(3), 2, 6),
        (GpuSharing(7), 1, 14),
        (GpuSharing(16), 1, 16),  # limited by the CPUs
        (GpuSharing(16, min_cpus_per_trial=0.25), 0.5, 32),
        (GpuSharing(32, min_cpus_per_trial=0.25), 0.25, 64),
        (GpuSharing(48, min_cpus_per_trial=0.25), 0.25, 64),
        (GpuSharing(10, min_cpus_per_trial=0.25), 0.8, 20),
    ],
)
def test_allocation_uses_the_measured_gpu_sharing(sharing, cpus_per_trial, count):
    allocation = allocate(Resources(), [Node(8, 1)] * 2, sharing=sharing)
    assert (allocation.cpus_per_trial, allocation.max_concurrent) == (cpus_per_trial, count)
    assert allocation.gpus_per_trial * sharing.trials_per_gpu <= 1
    explicit = Resources(gpus_per_trial=0.5)  # takes precedence
    assert allocate(explicit, [Node(8, 1)], sharing=sharing).gpus_per_trial == 0.5


@pytest.mark.parametrize(
    ("requested", "nodes", "num_trials", "per_trial", "count"),
    [
        ({}, [Node(2, 0)], 1, (2, 0), 1),
        ({}, [Node(2, 0)], 5, (1, 0), 2),
        ({}, [Node(16, 0)], 5, (3, 0), 5),
        ({}, [Node(8, 0), Node(8, 0)], 5, (2, 0), 5),  # spread over the nodes
        ({}, [Node(2, 0), Node(32, 0)], 1, (32, 0), 1),
        ({"max_concurrent_trials": 2}, [Node(8, 0)], 5, (4, 0), 2),
        ({"cpus_per_trial": 1}, [Node(8, 0)], 2, (1, 0), 2),
        ({}, [Node(16, 2)], 2, (8, 1), 2),  # a GPU each
        ({}, [Node(16, 1)], 2, (8, 0.5), 2),
        ({}, [Node(16, 1)], 9, (4, 0.25), 4),
        ({"gpus_per_trial": 0.25}, [Node(16, 1)], 1, (4, 0.25), 1),
        ({"gpus_per_trial": 0}, [Node(16, 1)], 2, (8, 0), 2),
    ],
)
def test_few_trials_share_all_resources(requested, nodes, num_trials, per_trial, count):
    allocation = allocate(Resources(**requested), nodes, num_trials=num_trials)
    assert (allocation.cpus_per_trial, allocation.gpus_per_trial) == per_trial
    assert allocation.max_concurrent == count


def test_requests_beyond_the_machine_are_rejected():
    nodes = [Node(2, 0)]
    with pytest.raises(ResourceError, match="cpus_per_trial is 8, but there are 2 CPUs; use"):
        allocate(Resources(cpus_per_trial=8), nodes)
    with pytest.raises(ResourceError, match="gpus_per_trial is 1, but there are 0 GPUs; use"):
        allocate(Resources(gpus_per_trial=1), nodes)


@pytest.mark.parametrize(
    ("requested", "nodes", "per_trial", "count"),
    [
        ({}, [Node(0, 0), Node(2, 0), Node(3, 0)], (1, 0), 5),  # a head without CPUs
        ({"cpus_per_trial": 2}, [Node(3, 0)] * 3, (2, 0), 3),  # spare CPUs do not add up
        ({}, [Node(8, 1), Node(32, 0)], (2, 0.25), 4),  # GPU trials need nodes with GPUs
        ({"gpus_per_trial": 0}, [Node(8, 1), Node(32, 0)], (1, 0), 40),
        ({}, [Node(8, 1), Node(4, 1)], (1, 0.25), 8),  # an even share of the smallest node
        ({"gpus_per_trial": 0.5}, [Node(8, 1)] * 2, (4, 0.5), 4),
        ({"accelerator_type": "T4"}, [Node(8, 1, frozenset({"T4"})), Node(8, 1)], (2, 0.25), 4),
        ({"max_concurrent_trials": 3}, [Node(2, 0), Node(2, 0)], (1, 0), 3),
    ],
)
def test_allocation_on_several_nodes(requested, nodes, per_trial, count):
    allocation = allocate(Resources(**requested), nodes)
    assert (allocation.cpus_per_trial, allocation.gpus_per_trial) == per_trial
    assert allocation.max_concurrent == count


def test_requests_beyond_any_node_are_rejected():
    nodes = [Node(2, 0), Node(4, 0)]
    with pytest.raises(ResourceError, match="a node has at most 4 CPUs; use --cpus-per-trial 4"):
        allocate(Resources(cpus_per_trial=6), nodes)
    message = "4, but a node has at most 1 CPU alongside that many GPUs"
    with pytest.raises(ResourceError, match=message):
        allocate(Resources(cpus_per_trial=4, gpus_per_trial=1), [Node(8, 0), Node(1, 1)])
    with pytest.raises(ResourceError, match="no node with a T4"):
        allocate(Resources(accelerator_type="T4"), nodes)
    with pytest.raises(ResourceError, match=r"no node has CPUs.*max_concurrent_trials=16"):
        allocate(Resources(), [Node(0, 0)], autoscaling=True)


def test_an_autoscaling_cluster_may_start_without_nodes():
    resources = Resources(max_concurrent_trials=16)
    with pytest.raises(ResourceError, match="no node"):
        allocate(resources, [Node(0, 0)])
    allocation = allocate(resources, [Node(0, 0)], autoscaling=True)
    assert allocation.max_concurrent == 16
    assert WorkerCapacity(allocation, resources, nodes=lambda: [])() == 16


def test_parsing_of_rays_node_list():
    listed = [
        {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0, "accelerator_type:A10G": 1.0}},
        {"Alive": False, "Resources": {"CPU": 9.0}},
        {"Alive": True, "Resources": {"node:10.0.0.1": 1.0}},
    ]
    assert alive_nodes(listed) == [Node(4, 1, frozenset({"A10G"})), Node(0, 0)]


def test_capacity_follows_added_and_removed_nodes():
    now, nodes = [0.0], [Node(2, 0)]
    resources = Resources()
    capacity = WorkerCapacity(
        allocate(resources, nodes), resources, lambda: nodes, clock=lambda: now[0]
    )
    assert capacity() == 2
    nodes.append(Node(4, 0))
    assert capacity() == 2, "nodes are not listed at each call"
    now[0] = 3.0
    assert capacity() == 6
    nodes.clear()
    now[0] = 6.0
    assert capacity() == 1, "one trial stays pending for a node to return"


def test_the_accelerator_type_is_requested_from_ray():
    node = Node(8, 1, frozenset({"T4"}))
    allocation = allocate(Resources(accelerator_type="T4", gpus_per_trial=1), [node])
    assert allocation.tune_resources == {"cpu": 8, "gpu": 1, "accelerator_type:T4": 0.001}


def test_tokens_are_random_and_private(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    paths = [create_token(folder) for folder in folders]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert len({path.read_text() for path in paths}) == 2
    assert all(len(path.read_text()) == 64 for path in paths)


def test_scratch_folders_of_other_users_are_passed_over(tmp_path):
    # Root ignores permissions unless these capabilities are dropped.
    dropped = "-dac_override,-dac_read_search"
    unprivileged = ("setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}")
    prefix = unprivileged if os.geteuid() == 0 else ()
    check = [*prefix, sys.executable, "-c", "import handsigns"]
    if prefix and (shutil.which("setpriv") is None or subprocess.run(check).returncode):
        pytest.skip("root ignores permissions, and cannot drop the capability to do so")
    foreign = tmp_path / "handsigns-theirs"
    foreign.mkdir(0)
    script = (
        "from handsigns.cluster.scratch import scratch_dir\nwith scratch_dir() as s: print(s.name)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [*prefix, sys.executable, "-c", script]
    assert subprocess.check_output(command, env=environment, text=True).startswith("handsigns-")
    assert foreign.exists()


def test_locks_of_other_users_are_not_written(tmp_path, monkeypatch):
    """They may link to a file of this user."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    user = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: user)
    foreign, thesis = tmp_path / "handsigns-theirs", tmp_path / "thesis.tex"
    foreign.mkdir(0o700)
    thesis.write_text("text")
    (foreign / "lock").symlink_to(thesis)
    with scratch_dir():
        assert thesis.read_text() == "text"
    assert foreign.exists()
