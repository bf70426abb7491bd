"""Tests of searches in a process that uses Ray itself, before, during and after a search."""

import subprocess
import sys
from pathlib import Path

import pytest

import handsigns

pytestmark = [pytest.mark.ray, pytest.mark.long]

SCRIPT = """
import os
import signal
import sys
import warnings

import pandas  # adds warning filters on import
import ray  # as in a notebook's first cell

import handsigns

def state():
    return (
        dict(os.environ), os.getcwd(), list(warnings.filters), sys.stdout, sys.stderr,
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM),
    )

options = {"data": "bands", "size": 16, "trials": 1, "max_epochs": 2, "reports": None}
before = state()
assert handsigns.search("tiny.yaml", name="first", **options).reason == "all trials are done"
assert state() == before, "the process state is restored"
assert not ray.is_initialized()

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
token = os.environ.get("RAY_AUTH_TOKEN_PATH")
mine = ray.put("mine")
assert handsigns.search("tiny.yaml", name="second", **options).reason == "all trials are done"
assert ray.get(mine) == "mine", "a connected Ray is used and left unchanged"
assert os.environ.get("RAY_AUTH_TOKEN_PATH") == token
try:
    handsigns.search("tiny.yaml", name="third", address="127.0.0.1:1", **options)
except handsigns.errors.ResourceError as error:
    print("refused:", error)
ray.shutdown()

assert handsigns.search("tiny.yaml", name="fourth", **options).reason == "all trials are done"
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
print("mine again:", ray.get(ray.put("mine")))
"""


def test_a_search_leaves_the_users_ray_unchanged(workspace):
    completed = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=workspace.root,
        env=workspace.environment | {"PYTHONPATH": str(Path(handsigns.__file__).parents[1])},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout[-3000:] + completed.stderr[-3000:]
    assert "refused: this process is already connected to Ray" in completed.stdout
    assert "mine again: mine" in completed.stdout
