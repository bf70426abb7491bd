"""Files in deploy/, validated with the tools that read them."""

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
    _derive_autoscaling_config_from_ray_cr as derive_autoscaling_config,
)
from ray.autoscaler._private.util import prepare_config, validate_config

from handsigns.cli.parser import make_parser
from tests.support.workspace import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("name", ["aws.yaml"])
def test_the_ray_cluster_launcher_accepts_the_config(name):
    config = read(name)
    validate_config(prepare_config(config))
    kinds = config["available_node_types"]
    assert kinds[config["head_node_type"]]["resources"]["CPU"] == 0, "the head runs no trials"
    assert all(kind["node_config"]["ImageId"] for kind in kinds.values()), "Ray's is too old"
    assert kinds["worker"]["min_workers"] == 0, "no idle workers"
    assert kinds["worker"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_the_batch_job_ends_if_ray_does_not_start(tmp_path):
    commands = {
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"',
        "scontrol": "echo one",
        "hostname": "echo 127.0.0.1",
        "ray": "exit 1",
        "python": f'exec "{sys.executable}" "$@"',
    }
    programs = tmp_path / ".venv" / "bin"  # before all others on the job's PATH
    programs.mkdir(parents=True)
    for name, text in commands.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o700)
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "one"}
    completed = subprocess.run(
        ["bash", str(DEPLOY / "slurm.sbatch"), "search", "quick"], cwd=tmp_path,
        env=os.environ | job, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert completed.returncode == 1
    assert "Ray did not start on the first node" in completed.stderr


def test_the_kubernetes_cluster_scales_from_zero():
    cluster = read("kuberay-cluster.yaml")
    cluster["metadata"]["namespace"] = "default"
    kinds = derive_autoscaling_config(cluster)["available_node_types"]
    assert kinds["headgroup"]["resources"]["CPU"] == 0, "the head runs no trials"
    assert (kinds["trials"]["min_workers"], kinds["trials"]["max_workers"]) == (0, 8)
    assert kinds["trials"]["resources"]["CPU"] == 4


def test_the_kubernetes_job_runs_a_valid_command():
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


def test_workers_find_the_mps_daemon_of_their_node():
    daemon = read("mps-daemonset.yaml")["spec"]
    pod = daemon["template"]["spec"]
    assert daemon["selector"]["matchLabels"] == daemon["template"]["metadata"]["labels"]
    (container,), (folders,) = pod["containers"], pod["initContainers"]
    text = (DEPLOY / "kuberay-cluster.yaml").read_text()
    _, marker, worker = text.partition("# With MPS on the GPU nodes (deploy/mps-daemonset.yaml):\n")
    assert marker
    lines = [line.replace("# ", "", 1) for line in worker.splitlines()]
    client = yaml.safe_load("\n".join(line.strip() for line in lines[:2]))
    client |= yaml.safe_load("\n".join(line[10:] for line in lines[2:]))
    assert client["env"][0] in container["env"], "the same pipe directory"
    assert client["volumeMounts"] == container["volumeMounts"] == folders["volumeMounts"]
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in client["volumes"]}
    assert paths == {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]}
    (user,) = re.findall(r"^USER (\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert container["securityContext"]["runAsUser"] == int(user), "MPS serves one user"
    assert f"chown {user} " in " ".join(folders["command"])


def test_files_copied_into_the_image_exist():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    assert len(copied) == 4
    for source in " ".join(copied).split():
        assert (REPOSITORY / source).exists(), source
    used = {image for name in ("kuberay-cluster.yaml", "kuberay-job.yaml", "mps-daemonset.yaml")
            for image in re.findall(r"image: (\S+)", (DEPLOY / name).read_text())}  # fmt: skip
    assert used == {"my-registry/handsigns:latest"}


def test_the_image_installs_the_pinned_packages(tmp_path):
    """Run the install command of the Dockerfile as a dry run."""
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
    completed = subprocess.run(
        ["sh", "-c", install], cwd=tmp_path, env={**os.environ, "TORCH": "auto"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Failed to fetch" in completed.stderr:
        pytest.skip("the package index cannot be reached")
    assert completed.returncode == 0, completed.stderr
    for line in (REPOSITORY / "requirements.txt").read_text().splitlines():
        if re.fullmatch(r"(ray|torch|optuna)==\S+", line):
            assert f"+ {line}" in completed.stderr
    assert "+ aiohttp-cors==" in completed.stderr, "required by the job server"
