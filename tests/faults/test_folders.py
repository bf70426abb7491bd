"""Unusual system folders: no home, and a long TMPDIR."""

import os

import pytest

pytestmark = pytest.mark.ray


@pytest.mark.long
def test_search_without_home_and_with_a_long_tmpdir(workspace, tmp_path):
    tmpdir = tmp_path / ("scratch" * 10)  # too long for the paths of Ray's sockets
    tmpdir.mkdir()
    environment = {
        k: v for k, v in workspace.environment.items() if k not in ("RAY_TMPDIR", "HOME")
    }
    workspace.environment.clear()
    workspace.environment.update(environment, TMPDIR=str(tmpdir), HOME="/nowhere")
    workspace.run("search", "tiny.yaml", *workspace.data, "--trials", "1", "--name", "far")
    assert len(workspace.rows("far")) == 1
    left = [path.name for path in tmpdir.glob("handsigns-*")]
    assert left == [f"handsigns-home-{os.getuid()}"], "the substitute home is kept"
