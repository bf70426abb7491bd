"""Tests of searches whose checkpoints and results are in an object store."""

from __future__ import annotations

import json

import pytest

from handsigns.io.storage import open_storage
from tests.support.s3 import CREDENTIALS, list_files

pytestmark = pytest.mark.ray


@pytest.fixture
def url(workspace, s3):
    workspace.environment |= CREDENTIALS
    return s3()


def test_a_missing_bucket_is_reported_before_the_search(workspace, s3, url):
    output = workspace.run(
        "search", "tiny.yaml", "--name", "none", "--storage", s3("none"), *workspace.data, status=2
    )
    assert "the storage s3://none/" in output
    assert "NO_SUCH_BUCKET" in output
    assert "check that the bucket exists" in output
    assert not workspace.folder("none").exists()


def test_a_missing_folder_is_reported_before_the_search(workspace):
    missing = str(workspace.root / "mnt" / "runs")
    output = workspace.run(
        "search", "tiny.yaml", "--name", "none", "--storage", missing, *workspace.data, status=2
    )
    assert "there is no such folder; create it, or mount its file system" in output
    assert not workspace.folder("none").exists()


def test_a_killed_search_resumes_on_another_machine(workspace, url):
    """The other machine has its own results folder; the winner is then used on a third."""
    stored = open_storage(url).joinpath("first")
    search = workspace.start(
        "search", "tiny.yaml", "--name", "first", "--storage", url, *workspace.data,
        "--trials", "2", "--max-epochs", "80", "--set", "scheduler.name=none",
    )  # fmt: skip
    workspace.wait_for(lambda: "checkpoints/0000.safetensors" in list_files(stored), search)
    workspace.wait_for_epochs("first", 20, search)
    workspace.kill(search, "first")
    other = ("--results", "other", "--no-report")
    workspace.run("resume", "first", "--storage", url, *other)
    rows = (workspace.root / "other" / "first" / "leaderboard.csv").read_text().splitlines()
    assert len(rows) == 3
    assert not list((workspace.root / "other" / "first" / "checkpoints").glob("*"))

    workspace.run("retrain", "first", "--seeds", "1", *other)
    workspace.run("test", "first", *other)
    assert json.loads(stored.read("winner/test.json"))["accuracy"] > 0
    image = next((workspace.root / "bands" / "test" / "high").iterdir())
    third = ("--results", "third", "--storage", url)
    assert "high" in workspace.run("predict", "first", str(image), *third)

    # The killed process's last writes were not synced: neither state is discarded.
    output = workspace.run("leaderboard", "first", status=2)
    assert "have diverged: each has changes" in output
