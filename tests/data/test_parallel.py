import os
import threading
import time
from pathlib import Path

import pytest

from handsigns.data import parallel
from handsigns.data.listing import ImageFile
from handsigns.data.parallel import parallel_map


@pytest.fixture(params=[10, 100_000], ids=["small files", "large files"])
def images(request, tmp_path):
    (tmp_path / "file").write_bytes(bytes(request.param))
    return [ImageFile(tmp_path / "file", str(i), "a") for i in range(100)]


def test_results_and_progress_are_in_order(images):
    seen = []
    results = parallel_map(lambda p: p.name, images, lambda *numbers: seen.append(numbers))
    assert results == [str(i) for i in range(100)]
    assert seen == [(i, 100) for i in range(1, 101)]


def test_empty_input_gives_empty_result():
    assert parallel_map(lambda p: p.name, []) == []


def test_exceptions_propagate(images):
    def fail(image):
        if image.name == "3":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        parallel_map(fail, images)


def test_interrupt_does_not_wait_for_pending_images(images):
    started = []

    def block(image):
        started.append(image.name)
        if int(image.name) >= 8:
            time.sleep(0.02)

    def interrupt(done, total):
        raise KeyboardInterrupt

    many_images = [ImageFile(p.path, str(i), "a") for i, p in enumerate(images * 100)]
    with pytest.raises(KeyboardInterrupt):
        parallel_map(block, many_images, interrupt)
    assert len(started) < len(many_images) / 2


def test_threads_respect_the_cpus_of_the_container(images, monkeypatch):
    def thread(image):
        time.sleep(0.001)
        return threading.get_ident()

    for cpu_count in ("cpu_count", "process_cpu_count"):
        monkeypatch.setattr(os, cpu_count, lambda: 64, raising=False)
    monkeypatch.setattr(parallel, "available_cpus", lambda: 1)
    assert len(set(parallel_map(thread, images))) <= 5


def test_missing_files_are_passed_to_the_function():
    assert parallel_map(lambda p: p.name, [ImageFile(Path("nowhere"), "x", "a")]) == ["x"]
