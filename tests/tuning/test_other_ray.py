"""Another Ray in the same process, before, during and after a search."""

import subprocess
import sys
from pathlib import Path

import pytest

import handsigns

pytestmark = pytest.mark.ray

SCRIPT = """
import os
import signal
import sys
import warnings

import pandas  # which adds warning filters as it is loaded
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
assert state() == before, "the process is as it was"
assert not ray.is_initialized()

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
token = os.environ.get("RAY_AUTH_TOKEN_PATH")
mine = ray.put("mine")
assert handsigns.search("tiny.yaml", name="second", **options).reason == "all trials are done"
assert ray.get(mine) == "mine", "a Ray that is there already is used, and left as it is"
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


def test_rays_of_user_and_search_leave_each_other_alone(place):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=place.root,
        env=place.environment | {"PYTHONPATH": str(Path(handsigns.__file__).parents[1])},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "refused: this process is connected to a Ray already" in done.stdout
    assert "mine again: mine" in done.stdout
