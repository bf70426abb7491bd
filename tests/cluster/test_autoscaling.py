"""Search on an autoscaling cluster: workers start for pending trials and stop afterwards."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Cluster
from tests.support.workspace import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.cluster]


def test_workers_scale_up_for_trials_and_down_to_zero(network, workspace, tmp_path):
    cluster = Cluster(network, tmp_path, max_workers=2)
    wait_until(lambda: cluster.num_nodes() == 1)
    workspace.environment |= cluster.environment
    search = workspace.start(
        "search", "tiny.yaml", "--name", "scaled", "--address", cluster.address, *workspace.data,
        *workspace.concurrent, "--max-epochs", "600", "--set", "scheduler.name=none",
        prefix=cluster.head.exec_prefix(workspace.root),
    )  # fmt: skip
    workspace.wait_for(lambda: cluster.num_nodes() == 3, search)
    workspace.finish(search)
    assert {row["status"] for row in workspace.rows("scaled")} == {"completed"}
    assert len(workspace.rows("scaled")) == 6
    wait_until(lambda: cluster.num_nodes() == 1)
