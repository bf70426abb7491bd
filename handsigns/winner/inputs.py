"""Images in any form (files, arrays, Pillow images) to the pixels that a model takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from handsigns.console.sanitize import printable
from handsigns.data.image_files import InvalidImageError, read_bytes
from handsigns.data.images import Pixels, decode_with_info, prepare_image
from handsigns.data.listing import BadFile
from handsigns.errors import DataError

ImageInput = str | os.PathLike[str] | Image.Image | Pixels
"""Path of an image file; Pillow image; or array uint8 (H, W), (H, W, 3) or (H, W, 4), RGB."""

_BATCH_SIZE = 256
"""Number of images held in memory before they are classified: a few MiB."""
_CHANNELS = (3, 4)


@dataclass(frozen=True)
class PixelBatch:
    """Pixels of N images.

    Attributes:
        indices: the indices of the images among all.
        pixels: uint8 (N, size, size, 3).
        remarks: what a user should know about each image (see `ImageInfo`).
    """

    indices: tuple[int, ...]
    pixels: Pixels
    remarks: tuple[tuple[str, ...], ...]


def pixel_batches(
    images: Iterable[ImageInput], size: int, bad: list[BadFile]
) -> Iterator[PixelBatch]:
    """Yield batches of usable images; images from an iterator are read as they are needed.

    Args:
        images: images of any size.
        size: height and width of the pixels.
        bad: receives the images that cannot be used; one that is no file is named by its index.
    """
    batch: list[tuple[int, Pixels, tuple[str, ...]]] = []
    for index, image in enumerate(images):
        try:
            batch.append((index, *_to_pixels(image, size)))
        except InvalidImageError as error:
            name = str(image) if isinstance(image, str | os.PathLike) else f"image {index}"
            bad.append(BadFile(name, str(error)))
        if len(batch) == _BATCH_SIZE:
            yield _stack(batch)
            batch = []
    if batch:
        yield _stack(batch)


def unusable_images_error(bad: Iterable[BadFile], *remedy: str) -> DataError:
    """Return the error that lists images that cannot be used, with their reasons."""
    listed = [f"  {printable(one.name)}: {printable(one.reason)}" for one in bad]
    return DataError("\n".join(["no usable images:", *listed, *remedy]))


def _stack(images: Iterable[tuple[int, Pixels, tuple[str, ...]]]) -> PixelBatch:
    indices, pixels, remarks = zip(*images, strict=True)
    return PixelBatch(indices, np.stack(pixels), remarks)


def check_is_batch(images: object) -> None:
    """Refuse a single image where several are expected.

    Raises:
        DataError: it is one.
    """
    if isinstance(images, np.ndarray):
        single = _is_single(images)
        remedy = "add a batch dimension (images[None])"
    else:
        single = isinstance(images, str | os.PathLike | Image.Image)
        remedy = "pass a list of images ([image])"
    if single:
        raise DataError(f"images is a single {type(images).__name__}; {remedy}")


def _to_pixels(image: ImageInput, size: int) -> tuple[Pixels, tuple[str, ...]]:
    """Return an image as uint8 (size, size, 3), and remarks on it if it is a file.

    Raises:
        InvalidImageError: it cannot be used.
    """
    if isinstance(image, str | os.PathLike):
        pixels, info = decode_with_info(read_bytes(Path(image)), size)
        return pixels, info.remarks
    opened = image if isinstance(image, Image.Image) else _from_array(image)
    return prepare_image(opened, size), ()


def _from_array(image: object) -> Image.Image:
    if not isinstance(image, np.ndarray):
        raise InvalidImageError(f"{type(image).__name__}, not a path, Pillow image or NumPy array")
    if not _is_single(image) or image.dtype != np.uint8 or image.size == 0:
        raise InvalidImageError(
            f"array {image.dtype} {image.shape}, not uint8 (H, W, 3) with values 0 to 255"
        )
    return Image.fromarray(image)


def _is_single(array: npt.NDArray[Any]) -> bool:
    """Return whether an array has the shape of one image."""
    return array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)
