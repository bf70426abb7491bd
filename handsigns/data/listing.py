"""Listing of a data set's image files by split, with those that cannot be used and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from handsigns.data.file_types import unsupported_format
from handsigns.data.folders import images_in, links_outside
from handsigns.data.splits import SplitName


@dataclass(frozen=True)
class ImageFile:
    """Image file: its path, its name relative to the source, and its class."""

    path: Path
    name: str
    label: str


@dataclass(frozen=True)
class BadFile:
    """Unusable file, the reason, and a remedy other than fixing the file."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class ImageListing:
    """Images of a data set by split, sorted by name.

    Attributes:
        layout: ``signs`` (CS230) or ``classes``.
        classes: class names, in the order of the labels.
        images: images by split; a split that is missing in the folder is missing here.
        bad: unusable files.
        ignored: images, and folders with images (with a slash), that are not part of the layout.
    """

    layout: str
    classes: tuple[str, ...]
    images: dict[SplitName, list[ImageFile]]
    bad: list[BadFile] = field(default_factory=list)
    ignored: tuple[str, ...] = ()


class UnusableFileError(Exception):
    """Reason why a file is not part of the data set, and optionally a remedy."""


def add_images(
    listing: ImageListing,
    split: SplitName,
    root: Path,
    folder: Path,
    label_of: Callable[[str], str],
) -> None:
    """Add the images of one folder to the listing, unusable ones to its bad files."""
    within = folder.relative_to(root).as_posix()
    folder_is_outside = links_outside(folder, root)
    for entry in images_in(folder):
        path, name = folder / entry.name, f"{within}/{entry.name}"
        try:
            label = label_of(entry.name)
            kind = unsupported_format(entry.name)
            if kind:
                raise UnusableFileError(f"{kind} images are not supported; save it as JPEG or PNG")
            if folder_is_outside or (entry.is_symlink() and links_outside(path, root)):
                raise UnusableFileError(
                    "symbolic link to a file outside the data folder",
                    "replace such links with the images, or pass the folder that contains them",
                )
            listing.images[split].append(ImageFile(path, name, label))
        except UnusableFileError as error:
            listing.bad.append(BadFile(name, *error.args))
