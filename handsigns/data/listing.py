"""Listing of a data set's image files by split, with those that cannot be used and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from handsigns.data.file_types import unsupported_format
from handsigns.data.folders import hidden_images, images_in, links_outside, subfolders
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
    """Images of a data set by split, in the order of their folders.

    Attributes:
        layout: ``signs`` (CS230), ``classes`` (class folders) or ``table`` (labels.csv).
        classes: class names, in the order of the labels.
        images: images by split; a split that is missing in the folder is missing here.
        bad: unusable files.
        ignored: images, and folders with images (with a slash), that are not part of the layout;
            hidden images and links to folders (with the reason).
    """

    layout: str
    classes: tuple[str, ...]
    images: dict[SplitName, list[ImageFile]]
    bad: list[BadFile] = field(default_factory=list)
    ignored: tuple[str, ...] = ()

    @property
    def all_images(self) -> list[ImageFile]:
        """Images of all splits."""
        return [image for members in self.images.values() for image in members]


class UnusableFileError(Exception):
    """Reason why a file is not part of the data set, and optionally a remedy."""


@dataclass(frozen=True)
class FoundImage:
    """Image file in a data folder; `is_outside` if it is a link to a file elsewhere."""

    path: Path
    name: str
    is_outside: bool


def find_images_in(root: Path, folder: Path) -> Iterator[FoundImage]:
    """Yield the images of one folder, sorted by name."""
    within = _within(root, folder)
    folder_is_outside = links_outside(folder, root)
    for entry in images_in(folder):
        path = folder / entry.name
        is_outside = folder_is_outside or (entry.is_symlink() and links_outside(path, root))
        yield FoundImage(path, f"{within}{entry.name}", is_outside)


def hidden_in(root: Path, folder: Path) -> list[str]:
    """Return the hidden images of one folder, for `ImageListing.ignored`."""
    return [f"{_within(root, folder)}{name} (hidden)" for name in hidden_images(folder)]


def skipped_in(root: Path, folder: Path) -> list[str]:
    """Return the hidden images and the links to folders in one folder, likewise."""
    links = [name for name, path in subfolders(folder).items() if path.is_symlink()]
    within = _within(root, folder)
    return hidden_in(root, folder) + [f"{within}{name}/ (link)" for name in links]


def _within(root: Path, folder: Path) -> str:
    """Return what the names of the images in a folder start with."""
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def add_images(
    listing: ImageListing,
    split: SplitName,
    root: Path,
    folder: Path,
    label_of: Callable[[str], str],
) -> None:
    """Add the images of one folder to the listing, unusable ones to its bad files."""
    for found in find_images_in(root, folder):
        try:
            add_image(listing, split, found, label_of(found.path.name))
        except UnusableFileError as error:
            listing.bad.append(BadFile(found.name, *error.args))


def add_image(listing: ImageListing, split: SplitName, found: FoundImage, label: str) -> None:
    """Add an image to the listing.

    Raises:
        UnusableFileError: its format is not supported, or it is outside the data folder.
    """
    kind = unsupported_format(found.name)
    if kind:
        raise UnusableFileError(f"{kind} images are not supported; save it as JPEG or PNG")
    if found.is_outside:
        raise UnusableFileError(
            "symbolic link to a file outside the data folder",
            "replace such links with the images, or pass the folder that contains them",
        )
    listing.images[split].append(ImageFile(found.path, found.name, label))
