"""Packed data sets: decoded once per content, kept in a cache, and known by a fingerprint."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handsigns.console.sanitize import printable
from handsigns.data.splits import SPLIT_NAMES, DataInfo, Split, SplitName
from handsigns.io.atomic import staged_folder
from handsigns.io.digest import digest, file_digest, hasher
from handsigns.io.home import substitute_home

FORMAT = 2
"""Raised when packs of earlier versions can no longer be used."""

Splits = Mapping[SplitName, Split]

_PARTS = ("images.npy", "labels.npy", "names.json")
_FILES = {f"{name}_{part}" for name in SPLIT_NAMES for part in _PARTS}


@dataclass(frozen=True)
class Pack:
    """A packed data set: what is known of it, and its splits on demand."""

    info: DataInfo
    open_split: Callable[[SplitName], Split]


def cache_folder() -> Path:
    """Return where packs are kept: $HANDSIGNS_CACHE, handsigns/ in the user's cache folder, or, for
    a user without a home, a folder of theirs among the temporary ones.

    Raises:
        OSError: there is no such place.
    """
    own = os.environ.get("HANDSIGNS_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "handsigns"
    return (substitute_home() or Path.home()) / ".cache" / "handsigns"


def fingerprint(splits: Splits, classes: tuple[str, ...], size: int) -> str:
    """Hex digest of what a model sees: classes, size, and each split's pixels and labels."""
    whole = hasher()
    whole.update(json.dumps([classes, size]).encode())
    for name in SPLIT_NAMES:
        split = splits[name]
        # In an order of their own, so that file names do not matter.
        pictures = sorted(
            bytes.fromhex(digest(image.tobytes())) + bytes(str(label), "ascii")
            for image, label in zip(split.images, split.labels, strict=True)
        )
        whole.update(f"/{name}/{len(pictures)}/".encode())
        whole.update(b"".join(pictures))
    return whole.hexdigest()


def packed(key: str, source: str, build: Callable[[], tuple[DataInfo, Splits]]) -> Pack:
    """The pack of that key from the cache, else built and put there.

    Args:
        key: hex digest of all that decides the content.
        source: what to call the source now; a pack may come from an equal folder elsewhere.
        build: decodes the data set.
    """
    try:
        folder = cache_folder() / key
    except OSError as error:
        return _unkept(*build(), error)
    info = _read_info(folder)
    if info is None:
        info, splits = build()
        try:
            _store(folder, info, splits)
        except OSError as error:
            return _unkept(info, splits, error)
    return Pack(dataclasses.replace(info, source=source), lambda name: _read_split(folder, name))


def _unkept(info: DataInfo, splits: Splits, error: OSError) -> Pack:
    """The pack from memory, with a note why it is not in the cache."""
    note = f"the decoded pictures could not be kept for next time: {printable(str(error))}"
    return Pack(dataclasses.replace(info, notes=(*info.notes, note)), splits.__getitem__)


def _store(folder: Path, info: DataInfo, splits: Splits) -> None:
    """Written beside its place and renamed; of two writers the first wins, with equal content."""
    try:
        with staged_folder(folder) as fresh:
            for name in SPLIT_NAMES:
                np.save(fresh / f"{name}_images.npy", splits[name].images, allow_pickle=False)
                np.save(fresh / f"{name}_labels.npy", splits[name].labels, allow_pickle=False)
                names = json.dumps(splits[name].names)
                (fresh / f"{name}_names.json").write_text(names, encoding="ascii")
            files = {path.name: file_digest(path) for path in fresh.iterdir()}
            content = {"format": FORMAT, "info": dataclasses.asdict(info), "files": files}
            (fresh / "info.json").write_text(json.dumps(content), encoding="ascii")
            if folder.exists() and _read_info(folder) is None:
                shutil.rmtree(folder)
    except OSError:
        if _read_info(folder) is None:
            raise


def _read_info(folder: Path) -> DataInfo | None:
    """What the pack says of itself; None where there is none or any of its files is damaged."""
    try:
        content = json.loads((folder / "info.json").read_text(encoding="ascii"))
        if content["format"] != FORMAT or set(content["files"]) != _FILES:
            return None
        if any(file_digest(folder / name) != digest for name, digest in content["files"].items()):
            return None
        return DataInfo.from_json(content["info"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _read_split(folder: Path, name: SplitName) -> Split:
    images = np.load(folder / f"{name}_images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / f"{name}_labels.npy", allow_pickle=False)
    names = json.loads((folder / f"{name}_names.json").read_text(encoding="ascii"))
    # A plain array over the mapped file: unlike a `memmap`, it is passed on without a copy.
    return Split(np.asarray(images), labels, tuple(names))
