"""A search whose checkpoints and results lie in an object store, as a user has it."""

from __future__ import annotations

import json

import pytest

from handsigns.io.storage import open_storage
from tests.support.s3 import CREDENTIALS, names

pytestmark = pytest.mark.ray


@pytest.fixture
def url(place, s3):
    place.environment |= CREDENTIALS
    return s3()


def test_a_bucket_that_is_not_there_is_told_first(place, s3, url):
    output = place.run(
        "search", "tiny.yaml", "--name", "none", "--storage", s3("none"), *place.data, status=2
    )
    assert "the storage s3://none/" in output
    assert "NO_SUCH_BUCKET" in output
    assert "see that the bucket is there" in output
    assert not place.folder("none").exists()


def test_a_folder_that_is_not_there_is_told_first(place):
    missing = str(place.root / "mnt" / "runs")
    output = place.run(
        "search", "tiny.yaml", "--name", "none", "--storage", missing, *place.data, status=2
    )
    assert "there is no such folder; make it, or mount what is to be there" in output
    assert not place.folder("none").exists()


def test_a_killed_search_goes_on_on_another_machine(place, url):
    """Which has another results folder; the winner is then used on a third."""
    stored = open_storage(url).under("first")
    search = place.start(
        "search", "tiny.yaml", "--name", "first", "--storage", url, *place.long, "--trials", "2"
    )
    place.wait_for(lambda: "checkpoints/0000.safetensors" in names(stored), search)
    place.wait_for_epochs("first", 20, search)
    place.kill(search, "first")
    other = ("--results", "other", "--no-report")
    place.run("resume", "first", "--storage", url, *other)
    rows = (place.root / "other" / "first" / "leaderboard.csv").read_text().splitlines()
    assert len(rows) == 3
    assert not list((place.root / "other" / "first" / "checkpoints").glob("*"))

    place.run("retrain", "first", "--seeds", "1", *other)
    place.run("test", "first", *other)
    assert json.loads(stored.read("winner/test.json"))["accuracy"] > 0
    picture = next((place.root / "bands" / "test" / "high").iterdir())
    third = ("--results", "third", "--storage", url)
    assert "high" in place.run("predict", "first", str(picture), *third)

    # What the killed process wrote last was not copied any more: neither state is thrown away.
    output = place.run("leaderboard", "first", status=2)
    assert "hold different states of first" in output
