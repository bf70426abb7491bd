"""A search over several machines, which come and go."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from handsigns.data.dataset import DRAWN_COUNTS
from handsigns.io.storage import open_storage
from tests.support.s3 import CREDENTIALS, names
from tests.support.workplace import REPOSITORY, Workplace, machine_wide_ray, until

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

LONG = (*Workplace.two, "--trials", "5", "--max-epochs", "1500", "--set", "scheduler.name=none")


@pytest.fixture(scope="module")
def workers(cluster, place):
    """Two, which have neither the pictures nor the results nor our code: they are handed these."""
    place.environment |= cluster.environment
    found = [cluster.add_worker(place.root, REPOSITORY / "handsigns") for _ in range(2)]
    until(lambda: cluster.nodes() == 3)
    return found


def hosts(place, name):
    """Where the epochs of a search were trained, in order."""
    return [event["node"].partition("/")[0] for event in place.events(name, "epoch")]


def nodes(place, name):
    """The processes that trained a search's epochs, each ``host/process``."""
    return {event["node"] for event in place.events(name, "epoch")}


def test_its_address_stays_on_its_machines(cluster, workers):
    command = [*cluster.head.inside(Path("/")), "cat", "/tmp/ray/ray_current_cluster"]
    kept = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert kept == cluster.address != machine_wide_ray()


def test_an_unshared_folder_is_refused_before_the_first_trial(cluster, workers, place):
    search = place.start(
        "search", "tiny.yaml", "--name", "alone", "--address", cluster.address, *place.data,
        prefix=cluster.head.inside(place.root),
    )  # fmt: skip
    output = place.finish(search, status=2)
    assert "2 of 2 nodes cannot use" in output
    for worker in workers:
        assert f"{worker.name} ({worker.address}): No such file or directory" in output
    assert "--storage /mnt/shared/runs" in output
    assert not place.folder("alone").exists(), "the name is free again"


def test_who_has_not_the_token_is_not_let_in(cluster, workers, place, tmp_path):
    other = tmp_path / "token"
    other.write_text("0" * 64)
    place.environment["RAY_AUTH_TOKEN_PATH"] = str(other)
    try:
        search = place.start(
            "search", "tiny.yaml", "--name", "let-in", "--address", cluster.address, *place.data,
            prefix=cluster.head.inside(place.root),
        )  # fmt: skip
        output = place.finish(search, status=2)
    finally:
        place.environment["RAY_AUTH_TOKEN_PATH"] = cluster.environment["RAY_AUTH_TOKEN_PATH"]
    assert "no Ray cluster could be joined" in output
    assert "RAY_AUTH_TOKEN_PATH" in output


def test_pictures_come_to_each_node_once_for_all_its_trials(cluster, workers, place):
    pictures = sum(DRAWN_COUNTS[split] for split in ("train", "val")) * 64 * 64 * 3
    before = [worker.received() for worker in workers]
    search = place.start(
        "search", "tiny.yaml", "--name", "drawn", "--address", cluster.address,
        "--storage", str(cluster.shared), "--no-report", "--cpus-per-trial", "0.5",
        "--set", "resources.concurrent_trials=auto", "--trials", "8", "--max-epochs", "2",
        "--set", "space.batch_size=64", prefix=cluster.head.inside(place.root),
    )  # fmt: skip
    place.finish(search)
    used = Counter(node.partition("/")[0] for node in nodes(place, "drawn"))
    assert used == {worker.name: 2 for worker in workers}, "two processes on each"
    for worker, bytes_before in zip(workers, before, strict=True):
        assert pictures < worker.received() - bytes_before < 1.5 * pictures


def test_a_submitted_search_runs_alone_and_is_fetched(cluster, workers, place):
    submit = place.start(
        "submit", "tiny.yaml", "--name", "sent", "--address", cluster.jobs,
        "--data", str(place.root / "bands"), "--size", "16", "--storage", str(cluster.shared),
        *place.two, "--trials", "4", "--seeds", "1", "--set", "reevaluation.top=0",
    )  # fmt: skip
    place.wait_for((cluster.shared / "sent" / "files.json").exists, submit)
    watched = place.run("watch", "sent", "--storage", str(cluster.shared), "--results", "elsewhere")
    assert f"on {cluster.head.name}" in watched.splitlines()[0]
    assert "4/4 trials ended" in watched
    output = place.finish(submit)
    assert "handsigns-sent runs on the cluster" in output
    assert "4/4 trials ended" in output
    assert "its results are here" in output
    assert set(hosts(place, "sent")) == {worker.name for worker in workers}
    assert json.loads((place.folder("sent") / "winner" / "test.json").read_text())["accuracy"] > 0
    assert "0000" in place.run("leaderboard", "sent")
    again = place.run(
        "submit", "tiny.yaml", "--name", "sent", "--address", cluster.jobs,
        "--storage", str(cluster.shared),
    )  # fmt: skip
    assert "handsigns-sent is known to the cluster (SUCCEEDED)" in again


def test_nodes_die_and_join_and_nothing_is_lost(cluster, workers, place, serve_s3, monkeypatch):
    """The driver's machine has no trials; checkpoints and results go to an object store."""
    with serve_s3(cluster.router) as server:
        url = f"s3://runs/first?endpoint_override={server}&scheme=http"
        search = place.start(
            "search", "tiny.yaml", "--name", "moved", "--address", cluster.address,
            "--storage", url, *place.data, *LONG, prefix=cluster.head.inside(place.root),
        )  # fmt: skip
        place.wait_for(lambda: len(set(hosts(place, "moved"))) == 2, search)
        victim, survivor = workers
        known = len(place.events("moved", "epoch"))
        victim.power_off()
        joined = cluster.add_worker(place.root, REPOSITORY / "handsigns")
        place.wait_for(lambda: joined.name in hosts(place, "moved"), search)
        place.finish(search)

        assert set(hosts(place, "moved")) == {victim.name, survivor.name, joined.name}
        assert victim.name not in hosts(place, "moved")[known + 1500 :]
        rows = place.rows("moved")
        assert len(rows) == 5
        assert {(row["status"], row["epochs"]) for row in rows} == {("completed", "1500")}
        (lost,) = place.events("moved", "retry")
        assert "node died" in lost["error"]
        assert lost["counted"] is False, "a lost node is no fault of a trial's"

        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        stored = open_storage(url).under("moved")
        assert any(name.startswith("checkpoints/") for name in names(stored))
        assert list((place.folder("moved") / "checkpoints").iterdir()) == []
        here = place.run("leaderboard", "moved")
        shutil.rmtree(place.folder("moved"))
        assert place.run("leaderboard", "moved", "--storage", url) == here


def test_a_node_is_taken_away_in_order(cluster, workers, place):
    """As spot machines are, which are given a moment to end: no fault of the trial's.

    Ray takes up to 30 seconds for it, in which the trials must not come to their end.
    """
    taken = cluster.add_worker(place.root, REPOSITORY / "handsigns")
    search = place.start(
        "search", "tiny.yaml", "--name", "taken", "--address", cluster.address,
        "--storage", str(cluster.shared), *place.data, *LONG, "--trials", "3",
        "--max-epochs", "4000", "--set", "resources.concurrent_trials=3",
        prefix=cluster.head.inside(place.root),
    )  # fmt: skip
    place.wait_for(lambda: taken.name in hosts(place, "taken"), search)
    taken.stop_ray()
    place.finish(search)
    assert {(row["status"], row["epochs"]) for row in place.rows("taken")} == {
        ("completed", "4000")
    }
    (lost,) = place.events("taken", "retry")
    assert lost["counted"] is False, lost["error"]
