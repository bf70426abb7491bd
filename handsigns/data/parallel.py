"""The same work on many pictures, on all cores where that pays."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from handsigns.data.images import file_size
from handsigns.data.layouts import Picture

Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with the number of pictures done and of all."""

_SMALL = 16_000
"""Mean bytes of a file up to which threads wait for each other longer than they work: 64x64 JPEGs
are hashed 3 times and decoded 1.5 times as fast in a plain loop."""
_BATCH = 8
"""Pictures handed over at a time, as handing over takes time too."""


def no_report(done: int, total: int) -> None:
    """For work that takes a moment only."""


def for_each(
    work: Callable[[Picture], Result], pictures: Sequence[Picture], report: Progress = no_report
) -> list[Result]:
    """The results of `work` in the order of the pictures; what it raises ends it all."""
    size = sum(file_size(picture.path) for picture in pictures)
    run = _one_by_one if size <= _SMALL * len(pictures) else _on_all_cores
    results: list[Result] = []
    with closing(run(work, pictures)) as made:
        for result in made:
            results.append(result)
            report(len(results), len(pictures))
    return results


def _one_by_one(
    work: Callable[[Picture], Result], pictures: Sequence[Picture]
) -> Generator[Result, None, None]:
    for picture in pictures:
        yield work(picture)


def _on_all_cores(
    work: Callable[[Picture], Result], pictures: Sequence[Picture]
) -> Generator[Result, None, None]:
    """Threads serve: reading, hashing and Pillow let go of the interpreter."""

    def work_off(batch: Sequence[Picture]) -> list[Result]:
        return [work(picture) for picture in batch]

    pool = ThreadPoolExecutor()
    try:
        batches = [pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH)]
        for future in [pool.submit(work_off, batch) for batch in batches]:
            yield from future.result()
    finally:
        # An interrupt must not wait for thousands of pictures that nobody wants any more.
        pool.shutdown(cancel_futures=True)
