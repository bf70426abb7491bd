"""Folders of the system that are not as programs expect them."""

import os

import pytest

pytestmark = pytest.mark.ray


def test_a_search_with_no_home_and_far_scratch(place, tmp_path):
    far = tmp_path / ("scratch" * 10)  # too long for the names of Ray's sockets
    far.mkdir()
    environment = {k: v for k, v in place.environment.items() if k not in ("RAY_TMPDIR", "HOME")}
    place.environment.clear()
    place.environment.update(environment, TMPDIR=str(far), HOME="/nowhere")
    place.run("search", "tiny.yaml", *place.data, "--trials", "1", "--name", "far")
    assert len(place.rows("far")) == 1
    left = [path.name for path in far.glob("handsigns-*")]
    assert left == [f"handsigns-home-{os.getuid()}"], "what stands for a home stays for the next"
