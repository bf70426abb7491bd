"""Parallel map over images, in threads if that is faster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.data.image_files import InvalidImageError, file_size, read_bytes
from handsigns.data.listing import BadFile, ImageFile, ImageListing
from handsigns.host import available_cpus
from handsigns.io.digest import digest

Result = TypeVar("Result")

_SMALL_FILE_BYTES = 16_000
"""Mean file size up to which threads are slower, as they wait for each other: a plain loop hashes
64x64 JPEGs 3 times, and decodes them 1.5 times, as fast."""
_BATCH_SIZE = 8
"""Images per task, which amortises the overhead of a task."""
_MAX_THREADS = 32
"""Each may hold a decoded photograph of up to 20 bytes per pixel."""
_WAITING_THREADS = 4
"""Threads beyond one per CPU, as some wait for the disk."""


def parallel_map(
    fn: Callable[[ImageFile], Result],
    images: Sequence[ImageFile],
    progress: ProgressCallback = no_progress,
) -> list[Result]:
    """Apply `fn` to each image; return the results in order. The first exception propagates."""
    size = sum(file_size(image.path) for image in images)
    run = _sequential if size <= _SMALL_FILE_BYTES * len(images) else _threaded
    results: list[Result] = []
    with closing(run(fn, images)) as iterator:
        for result in iterator:
            results.append(result)
            progress(len(results), len(images))
    return results


def map_images(
    fn: Callable[[ImageFile], Result],
    images: Sequence[ImageFile],
    progress: ProgressCallback = no_progress,
) -> tuple[dict[str, Result], list[BadFile]]:
    """Apply `fn` to each image; return the results by name, and the files it rejects."""

    def attempt(image: ImageFile) -> Result | BadFile:
        try:
            return fn(image)
        except InvalidImageError as error:
            return BadFile(image.name, str(error))

    results: dict[str, Result] = {}
    bad = []
    for image, result in zip(images, parallel_map(attempt, images, progress), strict=True):
        if isinstance(result, BadFile):
            bad.append(result)
        else:
            results[image.name] = result
    return results, bad


def content_digests(
    listing: ImageListing, progress: ProgressCallback = no_progress
) -> tuple[dict[str, str], list[BadFile]]:
    """Return the digests of the image files by name, and the files that cannot be read."""
    return map_images(lambda i: digest(read_bytes(i.path)), listing.all_images, progress)


def _sequential(
    fn: Callable[[ImageFile], Result], images: Sequence[ImageFile]
) -> Generator[Result, None, None]:
    for image in images:
        yield fn(image)


def _threaded(
    fn: Callable[[ImageFile], Result], images: Sequence[ImageFile]
) -> Generator[Result, None, None]:
    """Use threads, not processes: reading, hashing and Pillow release the GIL."""

    def run_batch(batch: Sequence[ImageFile]) -> list[Result]:
        return [fn(image) for image in batch]

    # By default its threads follow the CPUs of the machine, not the quota of the container.
    pool = ThreadPoolExecutor(min(_MAX_THREADS, available_cpus() + _WAITING_THREADS))
    try:
        batches = [images[i : i + _BATCH_SIZE] for i in range(0, len(images), _BATCH_SIZE)]
        for future in [pool.submit(run_batch, batch) for batch in batches]:
            yield from future.result()
    finally:
        # An interrupt must not wait for thousands of pending images.
        pool.shutdown(cancel_futures=True)
