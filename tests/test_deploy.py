"""What is in deploy/, held against the tools that read it."""

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", ["aws.yaml"])
def test_rays_cluster_launcher_takes_it(name):
    config = yaml.safe_load((REPOSITORY / "deploy" / name).read_text())
    validate_config(prepare_config(config))
    kinds = config["available_node_types"]
    assert kinds[config["head_node_type"]]["resources"]["CPU"] == 0, "the head has no trials"
    assert kinds["worker"]["min_workers"] == 0, "none while none are needed"
    assert kinds["worker"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
