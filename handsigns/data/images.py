"""Image decoding: any file, of any size and format, to a small RGB square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from handsigns.data.greyscale import to_8_bits
from handsigns.data.image_files import check_megapixels, invalid_image_errors, open_image

FIRST_FRAME = "only the first frame of an animation, or page of a document, is used"

Pixels = npt.NDArray[np.uint8]
_ORIENTATION, _PHOTOMETRIC_INTERPRETATION = 0x0112, 0x0106
_EXIF_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageInfo:
    """What a user should know about an image file.

    Attributes:
        size: width and height in pixels, such as ``3024x4032``.
        mode: Pillow's mode, such as ``RGB``.
        remarks: remarks on how it was decoded.
    """

    size: str
    mode: str
    remarks: tuple[str, ...]


def preprocessing(size: int) -> str:
    """Describe what `decode` does with an image, for the metadata of an exported model."""
    return f"upright, transparency on white, central square, Lanczos to {size} pixels"


def decode(content: bytes, size: int) -> Pixels:
    """Decode an image to uint8 (size, size, 3): upright, centre-cropped, antialiased.

    Grey and palette images become RGB; more than 8 bits are scaled to 8 (see `to_8_bits`);
    transparent parts become white, as on paper and in most viewers. Smaller images are enlarged. An
    image that already has the size is not resampled, so its pixels stay exact.

    Raises:
        InvalidImageError: it is not an image, truncated, or has more pixels than the limit; or its
            decoder is not installed.
    """
    return decode_with_info(content, size)[0]


def decode_with_info(content: bytes, size: int) -> tuple[Pixels, ImageInfo]:
    """Decode an image, as `decode` does; return what a user should know about its file too."""
    with invalid_image_errors(), open_image(content) as image:
        full_size, mode = image.size, image.mode
        if image.format != "HEIF":  # which would take an embedded thumbnail
            # JPEGs can be decoded at a fraction of their size, several times faster.
            image.draft("RGB", (4 * size, 4 * size))
        # A progressive one is held in memory at full size all the same.
        check_megapixels(full_size if image.info.get("progressive") else image.size)
        remarks = [FIRST_FRAME] if _has_more_frames(image) else []
        rgb, remark = _as_rgb(image)
        pixels = np.asarray(_center_crop_resize(rgb, size))
        remarks += [remark] if remark else []
        return pixels, ImageInfo("{}x{}".format(*full_size), mode, tuple(remarks))


def prepare_image(image: Image.Image, size: int) -> Pixels:
    """Convert an image in memory to uint8 (size, size, 3), in the way of `decode`.

    The image itself is unchanged. A large JPEG opened by Pillow is decoded at its full size, so
    that its pixels differ slightly from those of `decode`; and a copy of a TIFF no longer says
    whether its zero is white.

    Raises:
        InvalidImageError: its file is truncated, or it has more pixels than the limit.
    """
    with invalid_image_errors():
        check_megapixels(image.size)
        rgb, _ = _as_rgb(image)
        return np.asarray(_center_crop_resize(rgb, size))


def _has_more_frames(image: Image.Image) -> bool:
    """Return whether an image is animated or has pages.

    Further images in photographs (MPO, HEIF) are previews, depth or gain maps.
    """
    return image.format not in ("MPO", "HEIF") and bool(getattr(image, "is_animated", False))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded image; 1 (upright) if it cannot be read.

    The texts of a PNG, in which Pillow looks too, are passed over, as `open_image` strips them.
    """
    metadata = Image.Image()
    kept = ("exif",) if "XML:com.adobe.xmp" in image.info else ("exif", "xmp")
    metadata.info = {key: image.info[key] for key in kept if key in image.info}
    try:
        return int(metadata.getexif()[_ORIENTATION])
    except Exception:  # Pillow's reader raises nearly anything on odd metadata
        return 1


def _as_rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """Return an image upright and in RGB, and a remark on its scale, if any."""
    file_format, remark = image.format, ""
    image.load()  # turns a TIFF upright, and reads what a PNG has after its pixels
    is_white_zero = (
        isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC_INTERPRETATION) == 0
    )
    transposition = _EXIF_TRANSPOSE.get(_orientation(image))
    if transposition is not None:
        image = image.transpose(transposition)
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow's own conversion would clip.
        values = np.asarray(image)
        grey, remark = to_8_bits(values, image.mode, file_format)
        if is_white_zero:
            grey = 255 - grey
        if "transparency" in image.info:
            grey[values == image.info["transparency"]] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba)
    # Converting what is RGB already would copy it.
    return (image if image.mode == "RGB" else image.convert("RGB")), remark


def _center_crop_resize(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
