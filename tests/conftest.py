"""Shared fixtures: tiny images, scripted searches, and a workspace for the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from tests.support import images, records, scripted
from tests.support.command_server import CommandServer
from tests.support.s3 import CREDENTIALS, s3_server_at
from tests.support.workspace import REPOSITORY, Workspace

# The duration of an example is meaningless on a shared machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A pytest started with `&` by a script ignores Ctrl-C, and so do all its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

SIGNS = REPOSITORY.parent / "shared" / "data" / "signs_dev"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files that need Ray first: they take longest, and one started last runs alone."""
    with_ray = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in with_ray)


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the image cache of this test run, in which synthetic hands are generated once."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "image-cache"


@pytest.fixture(scope="session")
def signs() -> Path:
    """Return the folder of the real photographs; skip the test if they are missing."""
    if not SIGNS.is_dir():
        pytest.skip("the real photographs are not available")
    return SIGNS


@pytest.fixture
def few_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generate few synthetic hands."""
    counts = {"train": 12, "val": 6, "test": 6}
    monkeypatch.setattr("handsigns.data.dataset.SYNTHETIC_COUNTS", counts)


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """Return a factory of splits; see `images.make_split`."""
    return images.make_split


@pytest.fixture(scope="session")
def server() -> Iterator[CommandServer]:
    """Yield a command server: one process, and one Ray, for the commands of all tests."""
    server = CommandServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, server) -> Iterator[Workspace]:
    """Yield a workspace shared by the tests of a module."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"), server)
    yield workspace
    workspace.close()


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Yield a temporary folder for Ray's files, with a path short enough for sockets.

    In its default folder, `ray start` would write the address that every `ray.init()` on the
    machine joins.
    """
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Yield the address of an S3 server on loopback."""
    with s3_server_at("127.0.0.1") as address:
        yield address


@pytest.fixture(scope="session")
def serve_s3() -> Callable[[str], contextlib.AbstractContextManager[str]]:
    """Return a function that starts an S3 server, which accepts `CREDENTIALS`, at an address."""
    return s3_server_at


@pytest.fixture
def s3(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., str]:
    """Return a factory of URLs of this test's folder in a bucket of the server (`runs` exists)."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)

    def url(bucket: str = "runs", server: str = s3_server) -> str:
        folder = "".join(c if c.isalnum() else "-" for c in request.node.name)
        return f"s3://{bucket}/{folder}?endpoint_override={server}&scheme=http"

    return url


@pytest.fixture
def make_search_config() -> Callable[..., records.SearchConfig]:
    """Return a factory of search configurations; see `records.make_search_config`."""
    return records.make_search_config


@pytest.fixture
def make_epoch_metrics() -> Callable[..., EpochMetrics]:
    """Return a factory of epoch metrics with a given validation loss."""
    return records.make_epoch_metrics


@pytest.fixture
def make_record() -> Callable[..., TrialRecord]:
    """Return a factory of finished trials with given validation losses."""
    return records.make_record


@pytest.fixture
def make_search(tmp_path) -> Callable[..., StoredSearch]:
    """Return a factory of scripted searches in a results folder of the test."""
    return lambda name="scripted", trials=12, **options: scripted.simulate_search(
        tmp_path / "results", name, trials, **options
    )


@pytest.fixture
def add_scripted_winner() -> Callable[..., None]:
    """Return a function that adds a retrained and tested winner to a search."""
    return scripted.write_scripted_winner
