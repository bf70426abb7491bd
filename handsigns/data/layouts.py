"""Finding the images of a data set and their labels; nothing is decoded here.

Two layouts are known: the course's (``train_signs/3_IMG_5864.jpg``) and class folders
(``train/cat/1.jpg``, or ``cat/1.jpg`` with no splits at all), in which images may lie deeper. An
image that is no part of the data set is listed with the reason; only what operating systems, and
this program, leave behind is skipped silently.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from handsigns.console.sanitize import printable
from handsigns.data.file_types import unread_kind
from handsigns.data.folders import (
    data_folder,
    entries,
    folders_below,
    folders_in,
    has_images,
    images_in,
    leads_out,
)
from handsigns.data.splits import SPLIT_NAMES, SplitName
from handsigns.errors import DataError

SIGN_CLASSES = ("0", "1", "2", "3", "4", "5")
"""The labels of the course's layout: the number of fingers."""
SIGN_FOLDERS: dict[SplitName, str] = {s: f"{s}_signs" for s in SPLIT_NAMES}
_SPLIT_WORDS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout"),
}
_SPLIT_NOUNS = re.compile("(sets?|data|dataset|split|images?|imgs?|pictures?|photos?)$")
"""What may follow: ``Training_Set``, ``test-images``."""

_LAYOUTS = """a data set is one of
  train_signs/3_IMG_5864.jpg   val_signs/…   test_signs/…      (label 0 to 5, then _; the course's)
  train/<class>/picture.jpg    val/…         test/…            (any classes; val and test may lack)
  <class>/picture.jpg                                          (val and test are carved out)"""
_DETECTION = ({"images", "labels"}, {"images", "annotations"})
"""What the class folders of a set for object detection would be called."""


@dataclass(frozen=True)
class Picture:
    """A picture file: its path, its name relative to the source, and its class."""

    path: Path
    name: str
    label: str


@dataclass(frozen=True)
class BadFile:
    """A file that cannot be used, why, and what can be done about it beside mending it."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Listing:
    """The pictures of a data set by split, in the order of their names.

    Attributes:
        layout: ``signs`` (the course's) or ``classes``.
        classes: class names, in the order of the labels.
        pictures: by split; a split that is missing in the folder is missing here.
        bad: files that cannot be used.
        unread: images, and folders with images (with a slash), beside those that the layout names.
    """

    layout: str
    classes: tuple[str, ...]
    pictures: dict[SplitName, list[Picture]]
    bad: list[BadFile] = field(default_factory=list)
    unread: tuple[str, ...] = ()


def list_pictures(source: Path) -> Listing:
    """Find the images in a folder.

    Raises:
        DataError: it is no folder, cannot be read, or is of no known layout.
    """
    root = data_folder(source)
    inside = folders_in(root)
    signs = _split_folders(source, inside, _sign_split)
    if "train" in signs:
        return _with_unread(_list_signs(root, signs), root, signs)
    splits = _split_folders(source, inside, _split_of)
    if "train" in splits and not _is_a_class(splits["train"], inside):
        return _with_unread(_list_classes(root, splits), root, splits)
    folders = [folder for folder in inside.values() if has_images(folder)]
    if folders and (not (signs or splits) or "train" in splits):
        return _with_unread(_list_classes(root, {"train": root}), root, {})
    problem = "no train folder" if signs or splits else "no pictures in a known layout"
    raise _layout_error(source, problem, inside)


def _sign_split(name: str) -> SplitName | None:
    return next((s for s, folder in SIGN_FOLDERS.items() if name.lower() == folder), None)


def _split_of(name: str) -> SplitName | None:
    """The split that a folder's name means, however it is spelt."""
    word = re.sub(r"[\s_.-]+", "", name.lower())
    plain = _SPLIT_NOUNS.sub("", word)
    return next((s for s, words in _SPLIT_WORDS.items() if {word, plain} & {*words}), None)


def _is_a_class(train: Path, inside: Mapping[str, Path]) -> bool:
    """Whether a folder called train holds images of trains: it has no class folders, and others
    beside it, that are no splits, have images as it has.
    """
    others = [folder for name, folder in inside.items() if _split_of(name) is None]
    if any(has_images(folder) for folder in folders_in(train).values()):
        return False
    return bool(images_in(train)) and any(images_in(folder) for folder in others)


def _with_unread(listing: Listing, root: Path, splits: Mapping[SplitName, Path]) -> Listing:
    """The listing with the images and folders of images beside what was read."""
    unread = [entry.name for entry in images_in(root)]
    if splits:
        beside = (f for f in folders_in(root).values() if f not in splits.values())
        unread += [f"{folder.name}/" for folder in beside if has_images(folder)]
    return replace(listing, unread=tuple(unread))


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``2`` before ``10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def _split_folders(
    source: Path, inside: Mapping[str, Path], split_of: Callable[[str], SplitName | None]
) -> dict[SplitName, Path]:
    """The folders of a layout that are there, by split."""
    found: dict[SplitName, Path] = {}
    for name, path in inside.items():
        split = split_of(name)
        if split in found:
            raise DataError(
                f"{printable(str(source))} has two {split} folders, {found[split].name} and "
                f"{name}; keep one of them"
            )
        if split:
            found[split] = path
    return found


def _layout_error(source: Path, problem: str, inside: Mapping[str, Path]) -> DataError:
    found = ", ".join(printable(name) for name in list(inside)[:8]) or "no folders"
    lines = [f"{printable(str(source))}: {problem} (found: {found}); {_LAYOUTS}"]
    folders = [source, *inside.values()]
    tables = [e.name for f in folders for e in entries(f) if e.name.lower().endswith(".csv")]
    if tables:
        lines.append(
            f"labels in a table ({printable(tables[0])}) are not read: sort the images into a "
            f"folder for each class, as docs/your-own-data.md shows"
        )
    elif any(images_in(folder) for folder in folders):
        lines.append("the images lie in one folder: sort them into a folder for each class")
    return DataError("\n".join(lines))


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
    folders = {split: _class_folders(splits[split]) for split in SPLIT_NAMES if split in splits}
    classes = tuple(sorted(folders["train"], key=natural_key))
    if not classes:
        problem = f"no class folders in {splits['train'].name}"
        raise _layout_error(root, problem, {path.name: path for path in splits.values()})
    if {name.lower() for name in classes} == {"images"}:
        raise _layout_error(root, "no class folders", {"images": splits["train"] / classes[0]})
    _refuse_detection(root, {name.lower() for name in classes})
    listing = Listing("classes", classes, {split: [] for split in folders})
    for split, by_class in folders.items():
        if splits[split] != root:
            _add(listing, split, root, splits[split], _no_label)
        for label in sorted(by_class, key=natural_key):
            for folder in by_class[label]:
                for below in folders_below(folder):
                    _add(listing, split, root, below, _folder_label(label, classes))
    return listing


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """The folders of each class: those of one name in other encodings are one class.

    Raises:
        DataError: a name is in no encoding that can be written down.
    """
    found: dict[str, list[Path]] = {}
    foreign = []
    for name, path in folders_in(folder).items():
        try:
            name.encode()
        except UnicodeEncodeError:
            foreign.append(printable(name))
            continue
        found.setdefault(unicodedata.normalize("NFC", name), []).append(path)
    if foreign:
        raise DataError(
            f"{printable(str(folder))}: the names of the class folders {', '.join(foreign)} are "
            f"not UTF-8, as those of a zip from another system; rename them, or unpack it with "
            f"its encoding (unzip -O CP850 …)"
        )
    return found


def _refuse_detection(root: Path, classes: set[str]) -> None:
    if classes in _DETECTION:
        raise DataError(
            f"{printable(str(root))} looks like a set for object detection ("
            f"{' and '.join(sorted(classes))} in place of classes), and here each image has one "
            f"class: sort the images into a folder for each class; {_LAYOUTS}"
        )


def _no_label(_: str) -> str:
    raise _UnusableError("it is in no class folder", "images without labels are for predict")


def _folder_label(label: str, classes: tuple[str, ...]) -> Callable[[str], str]:
    """The class of train that a folder means: by its name, or by the only one that differs from it
    in capitals alone.
    """
    alike = [name for name in classes if name.casefold() == label.casefold()]
    meant = label if label in classes else alike[0] if len(alike) == 1 else None

    def of(_: str) -> str:
        if meant is None:
            raise _UnusableError(f"its class {printable(label)} is not among those in train")
        return meant

    return of


class _UnusableError(Exception):
    """Why a file is not part of the data set, and what can be done."""


def _add(
    listing: Listing, split: SplitName, root: Path, folder: Path, label_of: Callable[[str], str]
) -> None:
    """Put the images in one folder into the listing, the unusable among its bad files."""
    within = folder.relative_to(root).as_posix()
    astray = leads_out(folder, root)
    for entry in images_in(folder):
        path, name = folder / entry.name, f"{within}/{entry.name}"
        try:
            label = label_of(entry.name)
            kind = unread_kind(entry.name)
            if kind:
                raise _UnusableError(f"{kind} pictures are not read; save it as JPEG or PNG")
            if astray or (entry.is_symlink() and leads_out(path, root)):
                raise _UnusableError(
                    "a link that leads out of the data folder",
                    "put images there in place of links, or name the folder that they lie in",
                )
            listing.pictures[split].append(Picture(path, name, label))
        except _UnusableError as error:
            listing.bad.append(BadFile(name, *error.args))
