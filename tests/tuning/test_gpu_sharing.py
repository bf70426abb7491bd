"""Tests of GPU sharing: a search on a Ray node with a (possibly fictitious) GPU measures it."""

import contextlib
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handsigns.cluster.gpu_sharing import (
    GpuMeasurement,
    largest_configs,
    recommended_config,
)
from handsigns.cluster.resources import GpuSharing
from handsigns.cluster.scratch import create_token
from handsigns.policy.limited_space import LimitedSpace, sample_space
from handsigns.results.networks import NetworkProfile
from tests.support.s3 import free_port
from tests.support.workspace import default_ray_address


def test_largest_configuration_of_each_architecture(make_search_config):
    space = {
        "architecture": {"type": "choice", "values": ["compact", "cs230"]},
        "channel_width": {"type": "integer", "low": 8, "high": 30, "step": 8},
        "batch_size": {"type": "choice", "values": [64, 16]},
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-2},
        "dropout": 0.4,
        "optimizer": {"type": "choice", "values": ["sgd", "adam"]},
    }
    compact, cs230 = largest_configs(make_search_config(space))
    assert (compact.architecture, compact.channel_width, compact.batch_size) == ("compact", 24, 64)
    assert (cs230.architecture, cs230.channel_width, cs230.batch_size) == ("cs230", 24, 64)
    assert (cs230.learning_rate, cs230.dropout, cs230.optimizer) == (1e-2, 0.4, "sgd")
    (only,) = largest_configs(make_search_config())
    assert (only.architecture, only.batch_size, only.dropout) == ("compact", 16, 0.5)


def test_recommended_configuration_lies_in_the_search_space(make_search_config):
    wide = {"channel_width": {"type": "integer", "low": 40, "high": 64, "step": 8}}
    assert recommended_config(make_search_config(wide)).channel_width == 40


def test_networks_beyond_the_limits_are_not_measured(make_search_config):
    space = {
        "channel_width": {"type": "integer", "low": 8, "high": 512, "step": 8},
        "batch_size": {"type": "choice", "values": [16, 64]},
    }
    config = make_search_config(space, limits={"parameters": 1650})
    limited = LimitedSpace(
        config, sample_space(config), lambda c: NetworkProfile(100 * c.channel_width, 0)
    )
    (largest,) = largest_configs(config, limited)
    assert (largest.channel_width, largest.batch_size) == (16, 64)
    assert recommended_config(config, limited).channel_width == 16


MEASURED = GpuMeasurement(
    device="NVIDIA H200",
    throughput=((1, 1385.0), (2, 2300.0), (4, 3225.0), (8, 3900.0), (16, 4330.0), (32, 4400.0)),
    saturating_trials=16,
    max_by_memory=60,
    largest_steps_per_s=567.0,
    eager_reason="",
    mps=True,
)


@pytest.mark.parametrize(
    ("changes", "sharing"),
    [
        ({}, GpuSharing(16, 0.25)),
        ({"max_by_memory": 5}, GpuSharing(5, 0.25)),
        ({"mps": False}, GpuSharing(2, 0.25)),  # processes take turns
        ({"mps": False, "max_by_memory": 1}, GpuSharing(1, 0.25)),
        ({"eager_reason": "user-defined network a:b", "saturating_trials": 4}, GpuSharing(4, 1.0)),
        (
            {"eager_reason": "user-defined network a:b", "saturating_trials": 99},
            GpuSharing(48, 1.0),
        ),
    ],
)
def test_sharing_is_limited_by_throughput_memory_and_mps(changes, sharing):
    assert dataclasses.replace(MEASURED, **changes).sharing == sharing


def test_measurement_is_described_in_one_line():
    assert str(MEASURED) == (
        "NVIDIA H200 (MPS): steps/s by number of trials in the recommended configuration "
        "1,385 (1), 2,300 (2), 3,225 (4), 3,900 (8), 4,330 (16), 4,400 (32), in the largest 567 "
        "(1); memory for 60 trials"
    )


@pytest.fixture
def ray_address(workspace, tmp_path, ray_folder):
    """Address of a Ray head node on loopback that declares a GPU."""
    workspace.environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(create_token(tmp_path)),
    }
    address = f"127.0.0.1:{free_port()}"
    ray = Path(sys.executable).with_name("ray")
    command = [
        str(ray), "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2",
        f"--port={address.split(':')[1]}", "--num-gpus=1", "--include-dashboard=false",
        f"--temp-dir={ray_folder}",
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        while "Ray runtime started" not in (line := process.stdout.readline()):
            assert line, "Ray ended"
        yield address
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        process.kill()


@pytest.mark.ray
def test_trials_per_gpu_is_measured_or_the_default(workspace, ray_address, ray_folder):
    output = workspace.run(
        "search", "tiny.yaml", "--name", "shared", *workspace.data, "--address", ray_address,
        "--gpus-per-trial", "auto", "--trials", "2",
        "--set", "resources.max_concurrent_trials=auto",
    )  # fmt: skip
    if torch.cuda.is_available():
        assert "a GPU (measured)" in output or "a GPU to itself (measured)" in output
    else:
        assert "4 trials share a GPU (the default), as measuring failed on" in output
        assert "PyTorch finds no CUDA device" in output
        assert "2 trials at a time on 2 CPUs and 1 GPU" in output
    assert {row["status"] for row in workspace.rows("shared")} <= {"completed", "stopped"}
    port = ray_address[ray_address.index(":") :]  # Ray records another address of the host
    assert (ray_folder / "ray_current_cluster").read_text().endswith(port)
    assert not default_ray_address().endswith(port)
