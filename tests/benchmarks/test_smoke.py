"""Smoke tests: every benchmark runs in tiny sizes; its measurements are not checked."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from tests.benchmarks.conftest import BENCHMARKS

pytestmark = pytest.mark.slow

PROGRAMS = {path.stem for path in BENCHMARKS.glob("*.py") if "main() -> int" in path.read_text()}
LIGHT = ("gpu", "near_duplicates", "recipes")
LONG = (
    *("curves", "faults", "improvement", "memory", "objectives", "overhead", "peers", "plan"),
    *("policy", "scale", "simulation", "startup", "suspects", "trackers", "training"),
)
"""Run by make bench-smoke and test-long only."""
OPTIONS = {"trackers": ("optuna", "tensorboard")}
if importlib.util.find_spec("syne_tune") is None:
    OPTIONS["peers"] = (
        *("--methods", "handsigns", "Optuna alone", "CS230 search"),
        "Ray Tune, as in its PyTorch tutorial",
    )


@pytest.fixture
def smoke(tmp_path, image_cache, ray_folder):
    """Return a function that runs a benchmark and checks its --json output: no targets.

    A stale Ray address in the environment must be neither used nor changed.
    """
    stale_address = ray_folder / "ray" / "ray_current_cluster"
    stale_address.parent.mkdir()
    stale_address.write_text("127.0.0.1:1")
    folders = {"RAY_TMPDIR": str(ray_folder), "HANDSIGNS_CACHE": str(image_cache)}

    def run(name):
        json_file = tmp_path / "output.json"
        command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--smoke"]
        completed = subprocess.run(
            [*command, "--json", str(json_file), *OPTIONS.get(name, ())],
            cwd=tmp_path, env=os.environ | folders, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert completed.returncode == 0, completed.stdout + completed.stderr
        written = json.loads(json_file.read_text())
        assert written["targets"] == []
        assert all(table["rows"] for table in written["tables"])
        assert stale_address.read_text() == "127.0.0.1:1"

    return run


def test_every_benchmark_has_a_smoke_test():
    assert {*LIGHT, *LONG} == PROGRAMS


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_shows_its_usage(name):
    assert f"\n    python benchmarks/{name}.py" in (BENCHMARKS / f"{name}.py").read_text()


@pytest.mark.parametrize("name", LIGHT)
def test_smoke(name, smoke):
    if name == "gpu" and not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU")
    smoke(name)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_long_smoke(name, smoke):
    smoke(name)
