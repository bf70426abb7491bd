"""Every benchmark runs, in tiny sizes: what it measures is not judged."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tests.benchmarks.conftest import BENCHMARKS

PROGRAMS = {path.stem for path in BENCHMARKS.glob("*.py") if "main() -> int" in path.read_text()}
LIGHT = ("objectives", "recipes", "trackers", "training")
SEARCHES = ("overhead", "startup")
LONG = ("faults", "memory", "peers", "scale")  # make bench-smoke runs them, too
OPTIONS = {"trackers": ("optuna", "tensorboard")}
if importlib.util.find_spec("syne_tune") is None:
    OPTIONS["peers"] = (
        *("--methods", "this search", "Optuna alone", "the course's way"),
        "Ray Tune, as its PyTorch tutorial",
    )


@pytest.fixture
def smoke(tmp_path, ray_folder):
    """Runs a benchmark where the address of a dead Ray is left, which it neither joins nor changes.

    What it writes with --json is whole, and without aims.
    """
    left = ray_folder / "ray" / "ray_current_cluster"
    left.parent.mkdir()
    left.write_text("127.0.0.1:1")
    folders = {"RAY_TMPDIR": str(ray_folder), "HANDSIGNS_CACHE": str(tmp_path / "cache")}

    def run(name):
        written = tmp_path / "figures.json"
        command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--smoke"]
        done = subprocess.run(
            [*command, "--json", str(written), *OPTIONS.get(name, ())],
            cwd=tmp_path, env=os.environ | folders, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        figures = json.loads(written.read_text())
        assert figures["aims"] == []
        assert all(table["rows"] for table in figures["tables"])
        assert left.read_text() == "127.0.0.1:1"

    return run


def test_no_benchmark_is_left_out():
    assert {*LIGHT, *SEARCHES, *LONG} == PROGRAMS


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_explains_itself(name):
    assert f"\n    python benchmarks/{name}.py" in (BENCHMARKS / f"{name}.py").read_text()


@pytest.mark.parametrize("name", LIGHT)
def test_smoke_without_a_search(name, smoke):
    smoke(name)


@pytest.mark.ray
@pytest.mark.parametrize("name", SEARCHES)
def test_smoke_with_searches(name, smoke):
    smoke(name)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_smoke_with_many_searches(name, smoke):
    smoke(name)
