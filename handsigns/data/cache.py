"""Cache of decoded data sets, keyed by content, and their fingerprints."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from handsigns.console.sanitize import printable
from handsigns.data.cache_dir import cache_dir, make_cache_dir
from handsigns.data.findings import DataCheck
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.errors import DataError
from handsigns.io.atomic import staged_folder
from handsigns.io.digest import digest, file_digest, hasher

CACHE_FORMAT = 5
"""Version of the cache, incremented when its format, decoding or the check of the data changes."""

Splits = Mapping[SplitName, Split]

_PARTS = ("images.npy", "labels.npy", "groups.npy", "names.json")
_FILES = {f"{name}_{part}" for name in SPLIT_NAMES for part in _PARTS}


@dataclass(frozen=True)
class SplitFile:
    """Split in the cache, which processes on this machine map into their memory.

    Attributes:
        folder: folder of the data set in the cache.
        name: the split.
    """

    folder: Path
    name: SplitName

    def open(self) -> Split:
        """Map the split; a process maps it once, so that it stays at its address.

        Raises:
            DataError: the file was removed.
        """
        try:
            return _map_split(self)
        except FileNotFoundError as error:
            raise DataError(
                f"the decoded images in {printable(str(self.folder))} were removed while they were "
                f"used; resume the search to decode them again"
            ) from error


@functools.lru_cache(maxsize=2)  # training and validation split
def _map_split(file: SplitFile) -> Split:
    return _read_split(file.folder, file.name)


@dataclass(frozen=True)
class CachedDataSet:
    """Decoded data set: its metadata, its splits on demand, and its check if it has one.

    `folder` is that of the cache, None if the data set is in this process's memory.
    """

    info: DataInfo
    open_split: Callable[[SplitName], Split]
    check: DataCheck | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class BuiltDataSet:
    """Data set as it was built; `check` is None for synthetic images."""

    info: DataInfo
    splits: Splits
    check: DataCheck | None = None


def fingerprint(
    splits: Splits,
    classes: tuple[str, ...],
    size: int,
    group_names: Mapping[str, str] | None = None,
) -> str:
    """Return the hex digest of classes, size, and each split's pixels, labels and named groups."""
    named = group_names or {}
    state = hasher()
    state.update(json.dumps([classes, size]).encode())
    for name in SPLIT_NAMES:
        split = splits[name]
        # Sorted by content, so that file names do not matter.
        images = sorted(
            bytes.fromhex(digest(image.tobytes()))
            + bytes(str(label), "ascii")
            + named.get(image_name, "").encode(errors="surrogateescape")
            for image, label, image_name in zip(
                split.images, split.labels, split.names, strict=True
            )
        )
        state.update(f"/{name}/{len(images)}/".encode())
        state.update(b"".join(images))
    return state.hexdigest()


def load_or_build(key: str, source: str, build: Callable[[], BuiltDataSet]) -> CachedDataSet:
    """Load a data set from the cache, or build and cache it.

    Args:
        key: hex digest of everything that determines the content.
        source: current name of the source; an entry may stem from an equal folder elsewhere.
        build: decodes the data set.
    """
    try:
        folder = cache_dir().absolute() / key
    except OSError as error:
        return _uncached(build(), error)
    found = _read_info(folder)
    if found is None:
        built = build()
        try:
            _write_cache(folder, built)
        except OSError as error:
            return _uncached(built, error)
        found = built.info, built.check
    info, check = found
    return CachedDataSet(
        dataclasses.replace(info, source=source),
        lambda name: _read_split(folder, name),
        check and dataclasses.replace(check, source=source),
        folder,
    )


def _uncached(built: BuiltDataSet, error: OSError) -> CachedDataSet:
    """Return the data set in memory, with a note why it is not cached."""
    note = f"the decoded images could not be cached: {printable(str(error))}"
    info = dataclasses.replace(built.info, notes=(*built.info.notes, note))
    return CachedDataSet(info, built.splits.__getitem__, built.check)


def _write_cache(folder: Path, built: BuiltDataSet) -> None:
    """Write atomically; of two concurrent writers the first wins, with equal content."""
    info, splits, check = built.info, built.splits, built.check
    try:
        make_cache_dir()
        with staged_folder(folder) as staging:
            for name in SPLIT_NAMES:
                np.save(staging / f"{name}_images.npy", splits[name].images, allow_pickle=False)
                np.save(staging / f"{name}_labels.npy", splits[name].labels, allow_pickle=False)
                groups = splits[name].groups
                np.save(
                    staging / f"{name}_groups.npy",
                    np.empty(0, np.int64) if groups is None else groups,
                    allow_pickle=False,
                )
                names = json.dumps(splits[name].names)
                (staging / f"{name}_names.json").write_text(names, encoding="ascii")
            files = {path.name: file_digest(path) for path in staging.iterdir()}
            content = {
                "format": CACHE_FORMAT,
                "info": dataclasses.asdict(info),
                "check": check and dataclasses.asdict(check),
                "files": files,
            }
            (staging / "info.json").write_text(json.dumps(content), encoding="ascii")
            if folder.exists() and _read_info(folder) is None:
                shutil.rmtree(folder)
    except OSError:
        if _read_info(folder) is None:
            raise


def _read_info(folder: Path) -> tuple[DataInfo, DataCheck | None] | None:
    """Return metadata and check of a cache entry; None if it is missing or a file is damaged."""
    try:
        content = json.loads((folder / "info.json").read_text(encoding="ascii"))
        if content["format"] != CACHE_FORMAT or set(content["files"]) != _FILES:
            return None
        if any(file_digest(folder / name) != digest for name, digest in content["files"].items()):
            return None
        check = TypeAdapter(DataCheck | None).validate_python(content["check"])
        return DataInfo.from_json(content["info"]), check
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _read_split(folder: Path, name: SplitName) -> Split:
    images = np.load(folder / f"{name}_images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / f"{name}_labels.npy", allow_pickle=False)
    groups = np.load(folder / f"{name}_groups.npy", allow_pickle=False)
    names = json.loads((folder / f"{name}_names.json").read_text(encoding="ascii"))
    # Read-only like the images: a GPU then keeps one copy for all trials of a process.
    labels.setflags(write=False)
    groups.setflags(write=False)
    # A plain array over the mapped file: unlike a `memmap`, it is pickled without a copy.
    return Split(np.asarray(images), labels, tuple(names), groups if len(groups) else None)
