"""Data-set layouts: find images and their labels, without decoding anything.

Three layouts are supported: that of CS230 (``train_signs/3_IMG_5864.jpg``), class folders
(``train/cat/1.jpg``, or ``cat/1.jpg`` without splits), which are searched recursively, and a table
of the labels (``labels.csv``). Each may be in a zip or tar archive. An image that is not part of
the data set is listed with the reason; only files left behind by operating systems and by this
program, and those in hidden folders, are skipped silently.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.console.sanitize import printable
from handsigns.data.folders import (
    entries,
    has_images,
    images_in,
    resolve_data_folder,
    subfolders,
    walk_folders,
)
from handsigns.data.label_table import TABLE_NAME, find_table, list_table, reject_contradiction
from handsigns.data.listing import (
    ImageListing,
    UnusableFileError,
    add_images,
    hidden_in,
    skipped_in,
)
from handsigns.data.naming import is_utf8, natural_sort_key, split_of
from handsigns.data.splits import SPLIT_NAMES, SplitName
from handsigns.errors import DataError

SIGN_CLASSES = ("0", "1", "2", "3", "4", "5")
"""Labels of the CS230 layout: the number of fingers."""
SIGN_FOLDERS: dict[SplitName, str] = {s: f"{s}_signs" for s in SPLIT_NAMES}

_LAYOUTS = """supported layouts:
  train_signs/3_IMG_5864.jpg   val_signs/…   test_signs/…      (CS230: label 0 to 5, then _)
  train/<class>/image.jpg      val/…         test/…            (any classes; val, test optional)
  <class>/image.jpg                                            (val and test are split off)
  image.jpg                    labels.csv                      (columns file, label, perhaps split)
or a zip or tar of one of them"""
_DETECTION = ({"images", "labels"}, {"images", "annotations"})
"""Folder names of object-detection data sets, not to be mistaken for class folders."""


def list_images(source: Path, progress: ProgressCallback = no_progress) -> ImageListing:
    """Find the images in a folder, or in an archive, which is unpacked into the cache.

    Args:
        source: the folder or archive.
        progress: called while an archive is unpacked.

    Raises:
        DataError: it is neither, cannot be read, or has no supported layout.
    """
    _reject_undecodable(source.absolute())
    root = _unwrapped(resolve_data_folder(source, progress))
    inside = subfolders(root)
    signs = _split_folders(source, inside, _sign_split)
    if "train" in signs:
        return _with_ignored(_list_signs(root, signs), root, signs)
    splits = _split_folders(source, inside, split_of)
    table = find_table(root)
    if table and not _has_class_folders(inside, splits):
        return list_table(root, table)
    if "train" in splits and not _is_class_folder(splits["train"], inside):
        return _with_ignored(_list_classes(root, splits), root, splits)
    folders = [folder for folder in inside.values() if has_images(folder)]
    if folders and (not (signs or splits) or "train" in splits):
        return _with_ignored(_list_classes(root, {"train": root}), root, {})
    problem = "no train folder" if signs or splits else "no images in a supported layout"
    raise _layout_error(source, root, problem, inside)


def _reject_undecodable(path: Path) -> None:
    if not is_utf8(str(path)):
        raise DataError(f"{printable(str(path))}: the path is not UTF-8; rename it")


def _unwrapped(root: Path) -> Path:
    """Return the data folder itself of a folder that holds it alone, as archives often do."""
    inside = subfolders(root)
    if len(inside) == 1 and not images_in(root) and not find_table(root):
        ((name, folder),) = inside.items()
        is_split = _sign_split(name) or split_of(name)
        if not is_split and not folder.is_symlink() and (subfolders(folder) or find_table(folder)):
            return _unwrapped(folder)
    return root


def _has_class_folders(inside: Mapping[str, Path], splits: Mapping[SplitName, Path]) -> bool:
    """Return whether images are in class folders, so that a table beside them is not the labels."""
    train = splits.get("train")
    is_split = train is not None and not _is_class_folder(train, inside)
    folders = subfolders(train) if train and is_split else inside
    return sum(has_images(folder) for folder in folders.values()) > 1


def _sign_split(name: str) -> SplitName | None:
    return next((s for s, folder in SIGN_FOLDERS.items() if name.lower() == folder), None)


def _is_class_folder(train: Path, inside: Mapping[str, Path]) -> bool:
    """Return whether a folder called train is a class (images of trains), not a split.

    It is one if it has images but no class folders, and so have siblings that are not splits.
    """
    others = [folder for name, folder in inside.items() if split_of(name) is None]
    if any(has_images(folder) for folder in subfolders(train).values()):
        return False
    return bool(images_in(train)) and any(images_in(folder) for folder in others)


def _with_ignored(
    listing: ImageListing, root: Path, splits: Mapping[SplitName, Path]
) -> ImageListing:
    """Add what else the folder has to the listing: images, folders of images, a label table.

    Raises:
        DataError: the table and the class folders disagree.
    """
    ignored = [entry.name for entry in images_in(root)] + hidden_in(root, root)
    if table := find_table(root):
        if listing.layout == "classes":
            reject_contradiction(root, table, listing)
        ignored.append(table.name)
    if splits:
        others = (f for f in subfolders(root).values() if f not in splits.values())
        ignored += [f"{folder.name}/" for folder in others if has_images(folder)]
    return replace(listing, ignored=(*ignored, *listing.ignored))


def _split_folders(
    source: Path, inside: Mapping[str, Path], split_of: Callable[[str], SplitName | None]
) -> dict[SplitName, Path]:
    """Return the existing split folders of a layout; refuse two for one split."""
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


def _layout_error(source: Path, root: Path, problem: str, inside: Mapping[str, Path]) -> DataError:
    found = ", ".join(printable(name) for name in list(inside)[:8]) or "no folders"
    lines = [f"{printable(str(source))}: {problem} (found: {found}); {_LAYOUTS}"]
    folders = [root, *inside.values()]
    tables = [e.name for f in folders for e in entries(f) if e.name.lower().endswith(".csv")]
    if tables:
        lines.append(
            f"is {printable(tables[0])} the table of the labels? Name it {TABLE_NAME}, beside the "
            f"images or their folder, with the columns file and label"
        )
    elif any(images_in(folder) for folder in folders):
        lines.append(
            f"all images are in one folder: sort them into one folder per class, or add a "
            f"{TABLE_NAME}"
        )
    return DataError("\n".join(lines))


def _list_signs(root: Path, folders: Mapping[SplitName, Path]) -> ImageListing:
    listing = ImageListing("signs", SIGN_CLASSES, {s: [] for s in SPLIT_NAMES if s in folders})
    ignored = []
    for split in listing.images:
        folder = folders[split]
        add_images(listing, split, root, folder, _sign_label)
        ignored += hidden_in(root, folder)
        inside = subfolders(folder).items()
        ignored += [f"{folder.name}/{name}/" for name, below in inside if has_images(below)]
    return replace(listing, ignored=tuple(ignored))


def _sign_label(name: str) -> str:
    label, _, rest = name.partition("_")
    if rest and label in SIGN_CLASSES:
        return label
    if rest and label.isdecimal():
        raise UnusableFileError(f"label {label} is outside 0 to 5")
    raise UnusableFileError("file name does not start with a label 0 to 5 and _, as 3_IMG_5864.jpg")


def _list_classes(root: Path, splits: Mapping[SplitName, Path]) -> ImageListing:
    folders = {split: _class_folders(splits[split]) for split in SPLIT_NAMES if split in splits}
    classes = tuple(sorted(folders["train"], key=natural_sort_key))
    if not classes:
        problem = f"no class folders in {splits['train'].name}"
        raise _layout_error(root, root, problem, {path.name: path for path in splits.values()})
    if {name.lower() for name in classes} == {"images"}:
        inside = {"images": splits["train"] / classes[0]}
        raise _layout_error(root, root, "no class folders", inside)
    if is_detection(classes):
        raise DataError(
            f"{printable(str(root))} looks like an object-detection data set (folders "
            f"{' and '.join(map(printable, classes))}), but classification needs one class per "
            f"image: sort the images into one folder per class; {_LAYOUTS}"
        )
    listing = ImageListing("classes", classes, {split: [] for split in folders})
    ignored = []
    for split, by_class in folders.items():
        if splits[split] != root:
            add_images(listing, split, root, splits[split], _no_label)
            ignored += hidden_in(root, splits[split])
        for label in sorted(by_class, key=natural_sort_key):
            for folder in by_class[label]:
                for below in walk_folders(folder):
                    add_images(listing, split, root, below, _folder_label(label, classes))
                    ignored += skipped_in(root, below)
    return replace(listing, ignored=tuple(ignored))


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the folders of each class; names that are equal in NFC are one class.

    Raises:
        DataError: a name is not valid UTF-8.
    """
    found: dict[str, list[Path]] = {}
    undecodable = []
    for name, path in subfolders(folder).items():
        if is_utf8(name):
            found.setdefault(unicodedata.normalize("NFC", name), []).append(path)
        else:
            undecodable.append(printable(name))
    if undecodable:
        raise DataError(
            f"{printable(str(folder))}: class folder names are not UTF-8: "
            f"{', '.join(undecodable)} (often in a zip from another system); rename them, or "
            f"unpack the archive with its encoding (unzip -O CP850 …)"
        )
    return found


def is_detection(folders: Iterable[str]) -> bool:
    """Return whether folders are those of an object-detection data set, rather than classes."""
    return {name.lower() for name in folders} in _DETECTION


def _no_label(_: str) -> str:
    raise UnusableFileError("not in a class folder", "classify unlabelled images with predict")


def _folder_label(label: str, classes: tuple[str, ...]) -> Callable[[str], str]:
    """Map a folder name to a class of train: an exact match, or the only case-insensitive one."""
    candidates = [name for name in classes if name.casefold() == label.casefold()]
    match = label if label in classes else candidates[0] if len(candidates) == 1 else None

    def label_of(_: str) -> str:
        if match is None:
            raise UnusableFileError(f"class {printable(label)} does not occur in train")
        return match

    return label_of
