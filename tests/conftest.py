"""What tests share: tiny images, scripted trials, and a place to use the command line in."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord
from tests.support import records, scripted
from tests.support.command_server import CommandServer
from tests.support.s3 import CREDENTIALS, s3_server_at
from tests.support.workplace import REPOSITORY, Workplace

# How long an example takes says nothing on a shared machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Where pytest was started with `&` by a script, it and all its children are deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

SIGNS = REPOSITORY.parent / "shared" / "data" / "signs_dev"


@pytest.fixture(scope="session")
def signs() -> Path:
    """The real photographs; the test is skipped where they are absent."""
    if not SIGNS.is_dir():
        pytest.skip("the real photographs are not here")
    return SIGNS


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """Pictures whose class is easy to see: a bright band at a height of its own, in noise."""

    def make(count: int, seed: int = 0, classes: int = 3, size: int = 16) -> Split:
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % classes
        images = rng.integers(0, 90, (count, size, size, 3), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            top = label * size // classes
            image[top : top + size // classes] += 120
        names = tuple(f"{label}_{i}.png" for i, label in enumerate(labels))
        return Split(images, labels.astype(np.int64), names)

    return make


@pytest.fixture(scope="session")
def server() -> Iterator[CommandServer]:
    """Runs commands in one process, with one Ray for all of their searches."""
    one = CommandServer()
    yield one
    one.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory, server) -> Iterator[Workplace]:
    """A workplace that the tests of a module share."""
    workplace = Workplace(tmp_path_factory.mktemp("place"), server)
    yield workplace
    workplace.close()


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """A folder for Ray's files, sockets with short names among them.

    In its usual one `ray start` writes the address that every `ray.init()` of the machine joins.
    """
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Such a server on loopback."""
    with s3_server_at("127.0.0.1") as address:
        yield address


@pytest.fixture(scope="session")
def serve_s3() -> Callable[[str], contextlib.AbstractContextManager[str]]:
    """Starts such a server at another address, which lets in whoever has `CREDENTIALS`."""
    return s3_server_at


@pytest.fixture
def s3(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., str]:
    """Makes the URL of a folder of this test in a bucket of the server (`runs` is there)."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)

    def url(bucket: str = "runs", server: str = s3_server) -> str:
        folder = "".join(c if c.isalnum() else "-" for c in request.node.name)
        return f"s3://{bucket}/{folder}?endpoint_override={server}&scheme=http"

    return url


@pytest.fixture
def make_study() -> Callable[..., records.StudyConfig]:
    """Makes a search from its sections; see `records.make_study`."""
    return records.make_study


@pytest.fixture
def epoch_of() -> Callable[..., EpochMetrics]:
    """Makes an epoch's metrics with a given validation loss."""
    return records.epoch_of


@pytest.fixture
def make_record() -> Callable[..., TrialRecord]:
    """Makes a trial that ended with given validation losses."""
    return records.make_record


@pytest.fixture
def make_search(tmp_path) -> Callable[..., StoredSearch]:
    """Makes scripted searches in a results folder of the test's own."""
    return lambda name="scripted", trials=12, **options: scripted.scripted(
        tmp_path / "results", name, trials, **options
    )


@pytest.fixture
def retrain() -> Callable[..., None]:
    """Adds a retrained and tested winner to a search."""
    return scripted.retrained
