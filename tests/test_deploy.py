"""What is in deploy/, held against the tools that read it."""

import re
import shlex

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr as rays_view,
)
from ray.autoscaler._private.util import prepare_config, validate_config

from handsigns.cli.parser import make_parser
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("name", ["aws.yaml"])
def test_rays_cluster_launcher_takes_it(name):
    config = read(name)
    validate_config(prepare_config(config))
    kinds = config["available_node_types"]
    assert kinds[config["head_node_type"]]["resources"]["CPU"] == 0, "the head has no trials"
    assert kinds["worker"]["min_workers"] == 0, "none while none are needed"
    assert kinds["worker"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_rays_autoscaler_grows_the_kubernetes_cluster_from_none():
    cluster = read("kuberay-cluster.yaml")
    cluster["metadata"]["namespace"] = "default"
    kinds = rays_view(cluster)["available_node_types"]
    assert kinds["headgroup"]["resources"]["CPU"] == 0, "the head has no trials"
    assert (kinds["trials"]["min_workers"], kinds["trials"]["max_workers"]) == (0, 8)
    assert kinds["trials"]["resources"]["CPU"] == 4


def test_the_kubernetes_job_has_the_same_cluster_and_runs_a_command_that_there_is():
    job = read("kuberay-job.yaml")["spec"]
    assert job["rayClusterSpec"] == read("kuberay-cluster.yaml")["spec"]
    python, script, *command = shlex.split(job["entrypoint"])
    assert (python, script) == ("python", "/home/ray/tune_main.py")
    options = make_parser().parse_args(command)
    assert (options.space, options.name, options.address) == ("default", "first", "auto")
    pinned = (REPOSITORY / "requirements.txt").read_text()
    assert f"ray=={job['rayClusterSpec']['rayVersion']}\n" in pinned


def test_the_image_has_what_is_copied_into_it():
    text = (DEPLOY / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (REPOSITORY / source).exists(), source
    used = {image for name in ("kuberay-cluster.yaml", "kuberay-job.yaml")
            for image in re.findall(r"image: (\S+)", (DEPLOY / name).read_text())}  # fmt: skip
    assert used == {"my-registry/handsigns:latest"}
