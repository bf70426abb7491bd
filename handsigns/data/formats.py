"""Finding the pictures of a data set and their labels; nothing is decoded here.

Two layouts are known: the course's (``train_signs/3_IMG_5864.jpg``) and class folders
(``train/cat/1.jpg``, or ``cat/1.jpg`` with no splits at all).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from handsigns.data.splits import SPLIT_NAMES, SplitName
from handsigns.errors import DataError
from handsigns.text import printable

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
SIGN_CLASSES = ("0", "1", "2", "3", "4", "5")
"""The labels of the course's layout: the number of fingers."""
SIGN_FOLDERS: dict[SplitName, str] = {s: f"{s}_signs" for s in SPLIT_NAMES}
SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}

_LAYOUTS = """a data set is one of
  train_signs/3_IMG_5864.jpg   val_signs/…   test_signs/…      (label 0 to 5, then _; the course's)
  train/<class>/picture.jpg    val/…         test/…            (any classes; val and test may lack)
  <class>/picture.jpg                                          (val and test are carved out)"""


@dataclass(frozen=True)
class Picture:
    """A picture file: its path, its name relative to the source, and its class."""

    path: Path
    name: str
    label: str


@dataclass(frozen=True)
class BadFile:
    """A file that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """The pictures of a data set by split, in the order of their names.

    Attributes:
        layout: ``signs`` (the course's) or ``classes``.
        classes: class names, in the order of the labels.
        pictures: by split; a split that is missing in the folder is missing here.
        bad: files that cannot be used.
    """

    layout: str
    classes: tuple[str, ...]
    pictures: dict[SplitName, list[Picture]]
    bad: list[BadFile] = field(default_factory=list)


def list_pictures(source: Path) -> Listing:
    """Find the pictures in a folder.

    Raises:
        DataError: it is no folder, or of no known layout.
    """
    root = _folder(source)
    inside = {entry.name: entry for entry in _entries(root) if entry.is_dir()}
    if SIGN_FOLDERS["train"] in inside:
        return _list_signs(root, inside)
    splits = {SPLIT_FOLDERS[n.lower()]: p for n, p in inside.items() if n.lower() in SPLIT_FOLDERS}
    if "train" in splits:
        return _list_classes(root, splits)
    if not splits and any(_pictures_in(folder) for folder in inside.values()):
        return _list_classes(root, {"train": root})
    found = ", ".join(printable(name) for name in list(inside)[:8]) or "no folders"
    raise DataError(f"{source} holds no pictures in a known layout (found: {found}); {_LAYOUTS}")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``2`` before ``10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def _folder(source: Path) -> Path:
    try:
        if not source.exists():
            raise DataError(
                f"no folder {printable(str(source))}; name one that exists (--data DIR)"
            )
        if not source.is_dir():
            raise DataError(f"{printable(str(source))} is a file; name the folder that holds it")
        return source.resolve()
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(str(source))} cannot be read: {error}") from error


def _list_signs(root: Path, inside: dict[str, Path]) -> Listing:
    listing = Listing("signs", SIGN_CLASSES, {})
    for split, folder in SIGN_FOLDERS.items():
        if folder in inside:
            pictures = listing.pictures.setdefault(split, [])
            for path in _pictures_in(inside[folder]):
                name = path.relative_to(root).as_posix()
                label, _, rest = path.name.partition("_")
                if not rest or label not in SIGN_CLASSES:
                    why = "its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg"
                    listing.bad.append(BadFile(name, why))
                elif _leads_out(path, root):
                    listing.bad.append(BadFile(name, "a link that leads out of the data folder"))
                else:
                    pictures.append(Picture(path, name, label))
    return listing


def _list_classes(root: Path, splits: dict[SplitName, Path]) -> Listing:
    folders = {
        split: {p.name: p for p in _entries(folder) if p.is_dir()}
        for split, folder in splits.items()
    }
    classes = tuple(sorted(folders["train"], key=natural_key))
    listing = Listing("classes", classes, {})
    for split, by_class in folders.items():
        pictures = listing.pictures.setdefault(split, [])
        for label in sorted(by_class, key=natural_key):
            for path in _pictures_in(by_class[label]):
                name = path.relative_to(root).as_posix()
                if label not in classes:
                    why = f"its class {printable(label)} is not among those in train"
                    listing.bad.append(BadFile(name, why))
                elif _leads_out(path, root):
                    listing.bad.append(BadFile(name, "a link that leads out of the data folder"))
                else:
                    pictures.append(Picture(path, name, label))
    return listing


def _pictures_in(folder: Path) -> list[Path]:
    return [p for p in _entries(folder) if p.suffix.lower() in SUFFIXES and not p.is_dir()]


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name; hidden and system files are left out."""
    try:
        with os.scandir(folder) as found:
            names: Iterable[str] = sorted(entry.name for entry in found)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    return list(_visible(folder, names))


def _visible(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        if not name.startswith((".", "__MACOSX")) and name != "Thumbs.db":
            yield folder / name


def _leads_out(path: Path, root: Path) -> bool:
    """A symbolic link, of the file or of a folder above it, to a place outside the data."""
    return not path.resolve().is_relative_to(root)
