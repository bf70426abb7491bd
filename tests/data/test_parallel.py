import threading
from pathlib import Path

import pytest

from handsigns.data.layouts import Picture
from handsigns.data.parallel import for_each


@pytest.fixture(params=[10, 100_000], ids=["small files", "large files"])
def pictures(request, tmp_path):
    (tmp_path / "file").write_bytes(bytes(request.param))
    return [Picture(tmp_path / "file", str(i), "a") for i in range(100)]


def test_results_and_progress_are_in_order(pictures):
    seen = []
    results = for_each(lambda p: p.name, pictures, lambda *numbers: seen.append(numbers))
    assert results == [str(i) for i in range(100)]
    assert seen == [(i, 100) for i in range(1, 101)]


def test_nothing_to_do():
    assert for_each(lambda p: p.name, []) == []


def test_what_the_work_raises_ends_it(pictures):
    def work(picture):
        if picture.name == "3":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        for_each(work, pictures)


def test_an_interrupt_does_not_wait_for_the_rest(pictures):
    begun = []
    held = threading.Event()

    def work(picture):
        begun.append(picture.name)
        if int(picture.name) >= 8:
            held.wait(timeout=60)

    def interrupt(done, total):
        held.set()
        raise KeyboardInterrupt

    many = [Picture(p.path, str(i), "a") for i, p in enumerate(pictures * 100)]
    with pytest.raises(KeyboardInterrupt):
        for_each(work, many, interrupt)
    assert len(begun) < len(many) / 2


def test_files_that_are_gone_do_not_end_it():
    assert for_each(lambda p: p.name, [Picture(Path("nowhere"), "x", "a")]) == ["x"]
