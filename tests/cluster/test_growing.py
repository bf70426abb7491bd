"""A search on a cluster that has no workers until trials wait, and none again afterwards."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Cluster
from tests.support.workplace import until

pytestmark = [pytest.mark.ray, pytest.mark.cluster]


def test_workers_come_when_trials_wait_and_go_when_none_do(network, place, tmp_path):
    cluster = Cluster(network, tmp_path, grows=2)
    until(lambda: cluster.nodes() == 1)
    place.environment |= cluster.environment
    search = place.start(
        "search", "tiny.yaml", "--name", "grown", "--address", cluster.address, *place.data,
        *place.two, "--max-epochs", "600", "--set", "scheduler.name=none",
        prefix=cluster.head.inside(place.root),
    )  # fmt: skip
    place.wait_for(lambda: cluster.nodes() == 3, search)
    place.finish(search)
    assert {row["status"] for row in place.rows("grown")} == {"completed"}
    assert len(place.rows("grown")) == 6
    until(lambda: cluster.nodes() == 1)
