"""Searches on a cluster whose nodes join, fail and are preempted."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from handsigns.data.dataset import SYNTHETIC_COUNTS
from handsigns.io.storage import open_storage
from tests.support.s3 import CREDENTIALS, list_files
from tests.support.workspace import REPOSITORY, Workspace, default_ray_address, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

LONG = (*Workspace.concurrent, "--trials", "5", "--max-epochs", "1500",
        "--set", "scheduler.name=none")  # fmt: skip


@pytest.fixture(scope="module")
def workers(cluster, workspace):
    """Add two workers that have neither data, results nor code until the search sends them."""
    workspace.environment |= cluster.environment
    machines = [cluster.add_worker(workspace.root, REPOSITORY / "handsigns") for _ in range(2)]
    wait_until(lambda: cluster.num_nodes() == 3)
    return machines


def hosts(workspace, name):
    """Return the host of every epoch of a search, in order."""
    return [event["node"].partition("/")[0] for event in workspace.events(name, "epoch")]


def nodes(workspace, name):
    """Return the worker processes of a search, each ``host/process``."""
    return {event["node"] for event in workspace.events(name, "epoch")}


def test_cluster_address_stays_on_its_machines(cluster, workers):
    command = [*cluster.head.exec_prefix(Path("/")), "cat", "/tmp/ray/ray_current_cluster"]
    stored = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert stored == cluster.address != default_ray_address()


def test_unshared_results_folder_is_rejected_before_the_first_trial(cluster, workers, workspace):
    search = workspace.start(
        "search", "tiny.yaml", "--name", "alone", "--address", cluster.address, *workspace.data,
        prefix=cluster.head.exec_prefix(workspace.root),
    )  # fmt: skip
    output = workspace.finish(search, status=2)
    assert "2 of 2 nodes cannot access" in output
    for worker in workers:
        assert f"{worker.name} ({worker.address}): No such file or directory" in output
    assert "--storage /mnt/shared/runs" in output
    assert not workspace.folder("alone").exists(), "the name stays free"


def test_wrong_token_cannot_join_the_cluster(cluster, workers, workspace, tmp_path):
    other = tmp_path / "token"
    other.write_text("0" * 64)
    workspace.environment["RAY_AUTH_TOKEN_PATH"] = str(other)
    try:
        search = workspace.start(
            "search", "tiny.yaml", "--name", "denied", "--address", cluster.address,
            *workspace.data, prefix=cluster.head.exec_prefix(workspace.root),
        )  # fmt: skip
        output = workspace.finish(search, status=2)
    finally:
        workspace.environment["RAY_AUTH_TOKEN_PATH"] = cluster.environment["RAY_AUTH_TOKEN_PATH"]
    assert "cannot connect to a Ray cluster" in output
    assert "RAY_AUTH_TOKEN_PATH" in output


def test_images_are_sent_to_each_node_only_once(cluster, workers, workspace):
    image_bytes = sum(SYNTHETIC_COUNTS[split] for split in ("train", "val")) * 64 * 64 * 3
    before = [worker.received_bytes() for worker in workers]
    search = workspace.start(
        "search", "tiny.yaml", "--name", "synthetic", "--address", cluster.address,
        "--storage", str(cluster.shared), "--no-report", "--cpus-per-trial", "0.5",
        "--set", "resources.max_concurrent_trials=auto", "--trials", "8", "--max-epochs", "2",
        "--set", "space.batch_size=64", prefix=cluster.head.exec_prefix(workspace.root),
    )  # fmt: skip
    workspace.finish(search)
    used = Counter(node.partition("/")[0] for node in nodes(workspace, "synthetic"))
    assert used == {worker.name: 2 for worker in workers}, "two processes per node"
    for worker, bytes_before in zip(workers, before, strict=True):
        assert image_bytes < worker.received_bytes() - bytes_before < 1.5 * image_bytes

    # A retraining trains on the nodes, too.
    retraining = workspace.start(
        "retrain", "synthetic", "--seeds", "4", "--trial", "0", "--address", cluster.address,
        "--no-report", prefix=cluster.head.exec_prefix(workspace.root),
    )  # fmt: skip
    runs = "synthetic/retraining/0000"
    workspace.wait_for(lambda: len(workspace.events(runs, "epoch")) == 8, retraining)
    assert set(hosts(workspace, runs)) == {worker.name for worker in workers}
    workspace.finish(retraining)
    assert not (workspace.folder("synthetic") / "retraining").exists()


def test_submitted_search_runs_unattended_and_is_fetched(cluster, workers, workspace):
    submit = workspace.start(
        "submit", "tiny.yaml", "--name", "sent", "--address", cluster.jobs_url,
        "--data", str(workspace.root / "bands"), "--size", "16", "--storage", str(cluster.shared),
        *workspace.concurrent, "--trials", "4", "--seeds", "1", "--set", "reevaluation.top=0",
    )  # fmt: skip
    workspace.wait_for((cluster.shared / "sent" / "manifest.json").exists, submit)
    watched = workspace.run(
        "watch", "sent", "--storage", str(cluster.shared), "--results", "elsewhere"
    )
    assert f"on {cluster.head.name}" in watched.splitlines()[0]
    assert "4/4 trials finished" in watched
    output = workspace.finish(submit)
    assert "handsigns-sent runs on the cluster" in output
    assert "4/4 trials finished" in output
    assert "results: results/sent, and in " in output
    assert set(hosts(workspace, "sent")) == {worker.name for worker in workers}
    assert (
        json.loads((workspace.folder("sent") / "winner" / "test.json").read_text())["accuracy"] > 0
    )
    assert "0000" in workspace.run("leaderboard", "sent")
    again = workspace.run(
        "submit", "tiny.yaml", "--name", "sent", "--address", cluster.jobs_url,
        "--storage", str(cluster.shared),
    )  # fmt: skip
    assert "handsigns-sent exists on the cluster (SUCCEEDED)" in again


def test_search_survives_lost_and_joining_nodes(cluster, workers, workspace, serve_s3, monkeypatch):
    """No trials run on the driver's machine; checkpoints and results go to an object store."""
    with serve_s3(cluster.router) as server:
        url = f"s3://runs/first?endpoint_override={server}&scheme=http"
        search = workspace.start(
            "search", "tiny.yaml", "--name", "moved", "--address", cluster.address,
            "--storage", url, *workspace.data, *LONG,
            prefix=cluster.head.exec_prefix(workspace.root),
        )  # fmt: skip
        workspace.wait_for(lambda: len(set(hosts(workspace, "moved"))) == 2, search)
        victim, survivor = workers
        epochs_before = len(workspace.events("moved", "epoch"))
        victim.power_off()
        joined = cluster.add_worker(workspace.root, REPOSITORY / "handsigns")
        workspace.wait_for(lambda: joined.name in hosts(workspace, "moved"), search)
        workspace.finish(search)

        assert set(hosts(workspace, "moved")) == {victim.name, survivor.name, joined.name}
        assert victim.name not in hosts(workspace, "moved")[epochs_before + 1500 :]
        rows = workspace.rows("moved")
        assert len(rows) == 5
        assert {(row["status"], row["epochs"]) for row in rows} == {("completed", "1500")}
        (lost,) = workspace.events("moved", "worker_lost")
        assert "node died" in lost["error"]
        assert lost["loss_scope"] == "node", "a lost node does not count as a retry"

        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        stored = open_storage(url).joinpath("moved")
        assert any(name.startswith("checkpoints/") for name in list_files(stored))
        assert list((workspace.folder("moved") / "checkpoints").iterdir()) == []
        local = workspace.run("leaderboard", "moved")
        shutil.rmtree(workspace.folder("moved"))
        assert workspace.run("leaderboard", "moved", "--storage", url) == local


def test_preempted_node_does_not_count_as_a_retry(cluster, workers, workspace):
    """As on a spot machine: Ray shuts down in order.

    That takes up to 30 seconds, in which the trials must not finish.
    """
    preempted = cluster.add_worker(workspace.root, REPOSITORY / "handsigns")
    search = workspace.start(
        "search", "tiny.yaml", "--name", "preempted", "--address", cluster.address,
        "--storage", str(cluster.shared), *workspace.data, *LONG, "--trials", "3",
        "--max-epochs", "4000", "--set", "resources.max_concurrent_trials=3",
        prefix=cluster.head.exec_prefix(workspace.root),
    )  # fmt: skip
    workspace.wait_for(lambda: preempted.name in hosts(workspace, "preempted"), search)
    preempted.stop_ray()
    workspace.finish(search)
    assert {(row["status"], row["epochs"]) for row in workspace.rows("preempted")} == {
        ("completed", "4000")
    }
    (lost,) = workspace.events("preempted", "worker_lost")
    assert lost["loss_scope"] == "node", lost["error"]
