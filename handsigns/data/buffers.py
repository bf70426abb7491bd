"""Memory for decoded images: anonymous, or a file that is mapped if they are many."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import numpy.typing as npt

from handsigns.data.cache_dir import cache_dir, make_cache_dir

MAX_ANONYMOUS_BYTES = 512 * 2**20
"""Size up to which images are kept in anonymous memory. Pages of a file can be written out and read
again, so that a set of images may be larger than the memory."""


def allocate_images(count: int, size: int) -> npt.NDArray[np.uint8]:
    """Return uninitialised images, uint8 (count, size, size, 3).

    A file for them is in the cache folder, without a name, so that it goes with the array. Where
    none can be written they are in memory, whatever their size.
    """
    shape = (count, size, size, 3)
    num_bytes = count * size * size * 3
    if num_bytes > MAX_ANONYMOUS_BYTES:
        try:
            return _map_file(shape, num_bytes)
        except OSError:
            pass
    return np.empty(shape, np.uint8)


def _map_file(shape: tuple[int, ...], num_bytes: int) -> npt.NDArray[np.uint8]:
    make_cache_dir()
    with tempfile.TemporaryFile(dir=cache_dir()) as file:
        if hasattr(os, "posix_fallocate"):
            # On a full disk this fails; writing to the mapping would kill the process.
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        mapped = np.memmap(file, np.uint8, "w+", shape=shape)
    return np.asarray(mapped)
