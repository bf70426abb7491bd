"""A search joins a Ray that has a GPU to give away, and measures it, as far as there is one."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handsigns.cluster.gpu_sharing import heaviest
from handsigns.cluster.session import new_token
from tests.support.s3 import free_port
from tests.support.workplace import machine_wide_ray


def test_the_heaviest_of_each_architecture(make_study):
    space = {
        "architecture": {"type": "choice", "values": ["compact", "course"]},
        "channel_width": {"type": "integer", "low": 8, "high": 30, "step": 8},
        "batch_size": {"type": "choice", "values": [64, 16]},
        "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-2},
        "dropout": 0.4,
        "optimizer": {"type": "choice", "values": ["sgd", "adam"]},
    }
    compact, course = heaviest(make_study(space))
    assert (compact.architecture, compact.channel_width, compact.batch_size) == ("compact", 24, 64)
    assert (course.architecture, course.channel_width, course.batch_size) == ("course", 24, 64)
    assert (course.learning_rate, course.dropout, course.optimizer) == (1e-2, 0.4, "sgd")
    (only,) = heaviest(make_study())
    assert (only.architecture, only.batch_size, only.dropout) == ("compact", 16, 0.5)


@pytest.fixture
def node(place, tmp_path, ray_folder):
    """A node of Ray's that says it has a GPU, on loopback; gives its address."""
    place.environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(new_token(tmp_path)),
    }
    address = f"127.0.0.1:{free_port()}"
    ray = Path(sys.executable).with_name("ray")
    command = [
        str(ray), "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2",
        f"--port={address.split(':')[1]}", "--num-gpus=1", "--include-dashboard=false",
        f"--temp-dir={ray_folder}",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        while "Ray runtime started" not in (line := running.stdout.readline()):
            assert line, "Ray ended"
        yield address
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(timeout=60)
        running.kill()


@pytest.mark.ray
def test_how_many_trials_share_a_gpu(place, node, ray_folder):
    printed = place.run(
        "search", "tiny.yaml", "--name", "shared", *place.data, "--address", node,
        "--gpus-per-trial", "auto", "--trials", "2", "--set", "resources.concurrent_trials=auto",
    )  # fmt: skip
    if torch.cuda.is_available():
        assert "a GPU, as measured" in printed or "a GPU to itself, as measured" in printed
    else:
        assert "4 trials share a GPU, as that was not measured on" in printed
        assert "PyTorch sees no CUDA device there" in printed
        assert "2 trials at a time on 2 CPUs and 1 GPU" in printed
    assert {row["status"] for row in place.rows("shared")} <= {"completed", "stopped"}
    port = node[node.index(":") :]  # its host is there by another address
    assert (ray_folder / "ray_current_cluster").read_text().endswith(port)
    assert not machine_wide_ray().endswith(port)
