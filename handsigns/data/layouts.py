"""Finding the pictures of a data set and their labels; nothing is decoded here.

Two layouts are known: the course's (``train_signs/3_IMG_5864.jpg``) and class folders
(``train/cat/1.jpg``, or ``cat/1.jpg`` with no splits at all). Only the folders that a layout names
are looked into: pictures beside them, or deeper, are no part of the data set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from handsigns.console.sanitize import printable
from handsigns.data.splits import SPLIT_NAMES, SplitName
from handsigns.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".gif", ".tif", ".tiff"})
"""Pictures too, so that leaving them out must not go unnoticed."""
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
        DataError: it is no folder, cannot be read, or is of no known layout.
    """
    root = _folder(source)
    inside = _folders_in(root)
    signs = _split_folders(source, inside, {name: split for split, name in SIGN_FOLDERS.items()})
    if "train" in signs:
        return _list_signs(root, signs)
    splits = _split_folders(source, inside, SPLIT_FOLDERS)
    if "train" in splits:
        return _list_classes(root, splits)
    if not signs and not splits and any(_images_in(folder) for folder in inside.values()):
        return _list_classes(root, {"train": root})
    problem = "no train folder" if signs or splits else "no pictures in a known layout"
    raise _layout_error(source, problem, inside)


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


def _split_folders(
    source: Path, inside: Mapping[str, Path], names: Mapping[str, SplitName]
) -> dict[SplitName, Path]:
    """The folders of a layout that are there, by split; capitals do not matter."""
    found: dict[SplitName, Path] = {}
    for name, path in inside.items():
        split = names.get(name.lower())
        if split in found:
            raise DataError(
                f"{printable(str(source))} has two {split} folders, {found[split].name} and "
                f"{name}; keep one of them"
            )
        if split:
            found[split] = path
    return found


def _layout_error(source: Path, problem: str, inside: Iterable[str]) -> DataError:
    found = ", ".join(printable(name) for name in list(inside)[:8]) or "no folders"
    return DataError(f"{printable(str(source))}: {problem} (found: {found}); {_LAYOUTS}")


def _list_signs(root: Path, folders: Mapping[SplitName, Path]) -> Listing:
    listing = Listing("signs", SIGN_CLASSES, {s: [] for s in SPLIT_NAMES if s in folders})
    for split in listing.pictures:
        _add(listing, split, root, folders[split], _sign_label)
    return listing


def _sign_label(name: str) -> str:
    label, _, rest = name.partition("_")
    if rest and label in SIGN_CLASSES:
        return label
    if rest and label.isdecimal():
        raise _UnusableError(f"label {label} is outside 0 to 5")
    raise _UnusableError("its name does not begin with a label 0 to 5 and _, as in 3_IMG_5864.jpg")


def _list_classes(root: Path, splits: Mapping[SplitName, Path]) -> Listing:
    folders = {split: _folders_in(splits[split]) for split in SPLIT_NAMES if split in splits}
    classes = tuple(sorted(folders["train"], key=natural_key))
    if not classes:
        problem = f"no class folders in {splits['train'].name}"
        raise _layout_error(root, problem, sorted(folder.name for folder in splits.values()))
    listing = Listing("classes", classes, {split: [] for split in folders})
    for split, by_class in folders.items():
        if splits[split] != root:
            _add(listing, split, root, splits[split], _no_label)
        for label in sorted(by_class, key=natural_key):
            _add(listing, split, root, by_class[label], _folder_label(label, classes))
    return listing


def _no_label(_: str) -> str:
    raise _UnusableError("it is in no class folder")


def _folder_label(label: str, classes: tuple[str, ...]) -> Callable[[str], str]:
    def of(_: str) -> str:
        if label not in classes:
            raise _UnusableError(f"its class {printable(label)} is not among those in train")
        return label

    return of


class _UnusableError(Exception):
    """Why a file is not part of the data set."""


def _add(
    listing: Listing, split: SplitName, root: Path, folder: Path, label_of: Callable[[str], str]
) -> None:
    """Put the pictures in one folder into the listing, the unusable among its bad files."""
    within = folder.relative_to(root).as_posix()
    astray = _leads_out(folder, root)
    for entry in _images_in(folder):
        path, name = folder / entry.name, f"{within}/{entry.name}"
        try:
            label = label_of(entry.name)
            if PurePath(entry.name).suffix.lower() in UNREAD_SUFFIXES:
                kind = PurePath(entry.name).suffix.lower()[1:].upper()
                raise _UnusableError(f"{kind} pictures are not read; save it as JPEG or PNG")
            if astray or (entry.is_symlink() and _leads_out(path, root)):
                raise _UnusableError("a link that leads out of the data folder")
            listing.pictures[split].append(Picture(path, name, label))
        except _UnusableError as error:
            listing.bad.append(BadFile(name, str(error)))


def _folders_in(folder: Path) -> dict[str, Path]:
    return {entry.name: folder / entry.name for entry in _entries(folder) if _is_folder(entry)}


def _images_in(folder: Path) -> list[os.DirEntry[str]]:
    kinds = SUFFIXES | UNREAD_SUFFIXES
    return [
        entry
        for entry in _entries(folder)
        if PurePath(entry.name).suffix.lower() in kinds and not _is_folder(entry)
    ]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name; hidden and system files are left out."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not _is_litter(e.name)), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{printable(str(folder))} cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # A link to itself; reading it as a file says what is wrong.


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db")


def _leads_out(path: Path, root: Path) -> bool:
    """A symbolic link, of the file or of a folder above it, to a place outside the data."""
    # realpath, as Path.resolve raises on a link to itself.
    return not Path(os.path.realpath(path)).is_relative_to(root)
