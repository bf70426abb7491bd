"""What is in deploy/, held against the tools that read it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr as rays_view,
)
from ray.autoscaler._private.util import prepare_config, validate_config

from handsigns.cli.parser import make_parser
from tests.support.workplace import REPOSITORY

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


def test_the_kubernetes_job_runs_an_existing_command_on_the_cluster():
    job = read("kuberay-job.yaml")["spec"]
    assert job["rayClusterSpec"] == read("kuberay-cluster.yaml")["spec"]
    python, script, *command = shlex.split(job["entrypoint"])
    assert (python, script) == ("python", "/home/ray/tune_main.py")
    text = (DEPLOY / "kuberay-job.yaml").read_text()
    for resumed in re.findall(r"# python /home/ray/tune_main.py (resume .*)", text):
        assert make_parser().parse_args(resumed.split()).name == "first"
    assert "tune_main.py resume" in text
    options = make_parser().parse_args(command)
    assert (options.space, options.name, options.address) == ("default", "first", "auto")
    pinned = (REPOSITORY / "requirements.txt").read_text()
    assert f"ray=={job['rayClusterSpec']['rayVersion']}\n" in pinned


def test_the_image_has_what_is_copied_into_it():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    assert len(copied) == 4
    for source in " ".join(copied).split():
        assert (REPOSITORY / source).exists(), source
    used = {image for name in ("kuberay-cluster.yaml", "kuberay-job.yaml")
            for image in re.findall(r"image: (\S+)", (DEPLOY / name).read_text())}  # fmt: skip
    assert used == {"my-registry/handsigns:latest"}


def test_the_images_packages_are_those_that_are_pinned(tmp_path):
    """By the very command of the image, which is asked what it would install."""
    (step,) = re.findall(
        r"^RUN (pip install .*?[^\\])$", (DEPLOY / "Dockerfile").read_text(), re.M | re.S
    )
    get_uv, _, install = step.replace("\\\n", "").partition("&& ")
    assert get_uv.split() == ["pip", "install", "--no-cache-dir", "uv"]
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    uv = Path(sys.executable).with_name("uv")
    install = install.replace(
        "uv pip install --system", f"{uv} pip install --dry-run --target there"
    )
    done = subprocess.run(
        ["sh", "-c", install], cwd=tmp_path, env={**os.environ, "TORCH": "auto"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Failed to fetch" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    for line in (REPOSITORY / "requirements.txt").read_text().splitlines():
        if re.fullmatch(r"(ray|torch|optuna)==\S+", line):
            assert f"+ {line}" in done.stderr
    assert "+ aiohttp-cors==" in done.stderr, "what the job server needs"
