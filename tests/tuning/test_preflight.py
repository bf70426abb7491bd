"""Checks of a cluster's nodes, with scripted answers of these."""

import pytest

from handsigns.cluster import preflight
from handsigns.cluster.nodes import Node
from handsigns.cluster.preflight import NodeReport, check_nodes
from handsigns.cluster.resources import allocate
from handsigns.config.execution import Resources
from handsigns.errors import ResourceError
from handsigns.io.storage import FolderStorage
from handsigns.results.checkpoints import CheckpointStore


def test_a_node_with_several_problems_counts_once(monkeypatch, tmp_path):
    reports = {
        "node-1": NodeReport("node-1", {"torch": None}, "Permission denied", mps=False),
        "node-2": NodeReport("node-2", {}, "", mps=False),
    }
    monkeypatch.setattr(preflight, "run_on_nodes", lambda *_, allocation: (reports, {}))
    resources = Resources()
    with pytest.raises(ResourceError, match="1 of 2 nodes cannot access") as error:
        check_nodes(
            CheckpointStore(FolderStorage(tmp_path)), allocate(resources, [Node(8, 0)]), resources
        )
    assert "node-1: torch not installed" in str(error.value)
