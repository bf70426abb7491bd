"""Simulated cluster machines, each with its own address, host name and folders.

They are network, mount and UTS namespaces on one bridge; creating them needs root on Linux.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from tests.support.s3 import CREDENTIALS
from tests.support.workspace import wait_until

_NETWORKS = itertools.count()
_SCRATCH = Path("/tmp/ray")
_AUTOSCALING_ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
}
"""Environment of a head node whose autoscaler starts fake nodes, without a cloud."""
_COUNT_NODES = """
import sys, ray
ray.init(sys.argv[1], log_to_driver=False)
print(sum(node["Alive"] for node in ray.nodes()))
"""


def sh(*command: str, check: bool = True) -> str:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or completed.returncode == 0, f"{command}: {completed.stderr}"
    return completed.stdout


class Machine:
    """Machine of the network.

    Args:
        name: name of its namespace, and its host name.
        address: IP address in the bridge's network.
        bridge: bridge to which it is connected.
        hidden: folders of this computer that are hidden from it.
    """

    def __init__(self, name: str, address: str, bridge: str, hidden: tuple[Path, ...]) -> None:
        self.name = name
        self.address = address
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "link", "set", f"v{name}", "master", bridge, "up")
        sh("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        sh("ip", "-n", name, "link", "set", "lo", "up")
        _SCRATCH.mkdir(exist_ok=True)
        script = (
            'hostname "$0"; for d in "$@"; do mount -t tmpfs none "$d" || exit 1; done; echo up'
        )
        command = ["unshare", "--mount", "--uts", "sh", "-c", f"{script}; exec sleep infinity"]
        folders = [str(_SCRATCH), *map(str, hidden)]
        self._holder = subprocess.Popen(
            ["ip", "netns", "exec", name, *command, name, *folders],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "up\n"

    def exec_prefix(self, folder: Path) -> tuple[str, ...]:
        """Return the command prefix that runs a command on this machine, in a folder.

        Ray's files stay in the machine's own scratch folder; otherwise every `ray.init()` on this
        computer would find the cluster's address there and join it.
        """
        enter = ("nsenter", "-t", str(self._holder.pid), "-n", "-m", "-u", f"--wdns={folder}")
        return (*enter, "env", f"RAY_TMPDIR={_SCRATCH.parent}")

    def received_bytes(self) -> int:
        """Return the number of bytes received."""
        sent = Path(
            f"/sys/class/net/v{self.name}/statistics/tx_bytes"
        )  # the bridge's end sends them
        return int(sent.read_text())

    def stop_ray(self) -> None:
        """Stop Ray in order, as on the preemption of a spot machine."""
        for process in map(int, sh("ip", "netns", "pids", self.name).split()):
            with contextlib.suppress(FileNotFoundError):  # it has ended
                if Path(f"/proc/{process}/exe").resolve().name == "raylet":
                    os.kill(process, signal.SIGTERM)

    def power_off(self) -> None:
        """Remove the machine and kill its processes, without notice to the cluster."""
        sh("ip", "link", "set", f"v{self.name}", "down", check=False)
        for process in sh("ip", "netns", "pids", self.name, check=False).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        self._holder.wait()
        sh("ip", "netns", "del", self.name, check=False)


class Network:
    """Network of machines on one bridge, with this computer as router.

    Attributes:
        router: IP address of this computer.
    """

    def __init__(self) -> None:
        number = next(_NETWORKS)  # the previous network's names may still be in use
        self._tag = f"h{os.getpid() % 10000}{chr(ord('a') + number)}"
        self._prefix = f"10.{os.getpid() % 200 + 20}.{number + 1}"
        self._bridge = f"{self._tag}br"
        self._machines: list[Machine] = []
        self.router = f"{self._prefix}.1"
        sh("ip", "link", "add", self._bridge, "type", "bridge")
        sh("ip", "addr", "add", f"{self.router}/24", "dev", self._bridge)
        sh("ip", "link", "set", self._bridge, "up")

    def add(self, *hidden: Path) -> Machine:
        """Add a machine from which some folders of this computer are hidden."""
        number = len(self._machines) + 1
        address = f"{self._prefix}.{10 + number}"
        machine = Machine(f"{self._tag}n{number}", address, self._bridge, hidden)
        self._machines.append(machine)
        return machine

    def close(self) -> None:
        """Remove all machines and the bridge."""
        for machine in self._machines:
            machine.power_off()
        sh("ip", "link", "del", self._bridge, check=False)


class Cluster:
    """Ray cluster with token authentication: a head node without CPUs, and workers.

    Args:
        network: network of its machines.
        folder: folder of its token and logs.
        max_workers: maximum number of autoscaled workers, which run on the head's machine.

    Attributes:
        environment: environment of authorised clients.
        shared: folder shared by all machines.
        address: address of the GCS server.
        jobs_url: URL of the job server.
    """

    def __init__(self, network: Network, folder: Path, max_workers: int = 0) -> None:
        token = folder / "token"
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        self.shared = folder / "shared"
        self.shared.mkdir()
        self.environment = {
            **os.environ,
            **CREDENTIALS,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            # Detect a lost node after seconds instead of a minute.
            "RAY_health_check_initial_delay_ms": "1000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "5",
        }
        self._network = network
        self._logs = folder
        self.router = network.router
        self.head = network.add()
        self.address = f"{self.head.address}:6379"
        self.jobs_url = f"http://{self.head.address}:8265"
        options = ["--head", "--port=6379", "--num-cpus=0", "--dashboard-host=0.0.0.0"]
        if max_workers:
            config = folder / "autoscaling.json"
            config.write_text(json.dumps(_autoscaling_config(self.address, max_workers)))
            options.append(f"--autoscaling-config={config}")
            self.environment |= _AUTOSCALING_ENVIRONMENT
        self._ray(self.head, *options, "--include-dashboard=true")

    def add_worker(self, *hidden: Path) -> Machine:
        """Add a worker with one CPU, from which some folders of this computer are hidden.

        Ray joins the cluster soon after the return.
        """
        worker = self._network.add(*hidden)
        self._ray(worker, f"--address={self.address}", "--num-cpus=1")
        return worker

    def num_nodes(self) -> int:
        """Return the number of alive nodes according to the head."""
        completed = subprocess.run(
            [*self.head.exec_prefix(Path("/")), sys.executable, "-c", _COUNT_NODES, self.address],
            env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return int(completed.stdout.split()[-1]) if completed.returncode == 0 else 0

    def _ray(self, machine: Machine, *options: str) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *options]
        command += [f"--node-ip-address={machine.address}", f"--object-store-memory={80 * 2**20}"]
        with (self._logs / f"{machine.name}.log").open("w") as log:
            subprocess.Popen(
                [*machine.exec_prefix(Path("/")), *command],
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


def _autoscaling_config(address: str, max_workers: int) -> dict[str, Any]:
    """Return the configuration of Ray's autoscaler with fake workers of one CPU."""
    worker = {"resources": {"CPU": 1, "object_store_memory": 80 * 2**20}, "node_config": {}}
    lists = (
        "cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands",
        "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands",
    )  # fmt: skip
    return {key: [] for key in lists} | {
        "auth": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "cluster_name": "autoscaling",
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "gcs_address": address, "launch_multiple": True, "head_node_id": FAKE_HEAD_NODE_ID,
            "disable_node_updaters": True, "disable_launch_config_check": True,
        },
        "max_workers": max_workers,
        "idle_timeout_minutes": 0.1,
        "upscaling_speed": 10.0,
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": worker | {"min_workers": 0, "max_workers": max_workers},
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Create a network without machines."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "unshare", "nsenter", "mount"))):
        pytest.skip("simulated machines need root (or 'make test-cluster') and iproute2")
    network = Network()
    yield network
    network.close()


@pytest.fixture(scope="module")
def cluster(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Start a cluster with only a head node; tests add workers."""
    cluster = Cluster(network, tmp_path_factory.mktemp("cluster"))
    wait_until(lambda: cluster.num_nodes() == 1)
    return cluster
