"""Classify images with an exported ONNX graph: python classify_onnx.py model.onnx photo.jpg …"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def to_8_bits(values, mode, kind):
    """Scale greyscale of more than 8 bits, where Pillow would clip; what is no number is black."""
    limits = [1, 255] if mode == "F" else [255, 4095, 65535] if kind == "TIFF" else [65535]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    limit = next((limit for limit in limits if low >= 0 and high <= limit), None)
    start, span = (0.0, limit) if limit else (low, high - low or 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.clip((values - np.float32(start)) * (255 / span) + 0.5, 0, 255)
    return np.nan_to_num(scaled).astype(np.uint8)


def without_texts(content):
    """Remove texts and colour profile from a PNG: Pillow rejects large or damaged ones."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    chunks, start = [content[:8]], 8
    while start + 8 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if content[start + 4 : start + 8] not in (b"iCCP", b"iTXt", b"tEXt", b"zTXt"):
            chunks.append(content[start:end])
        start = end
    return b"".join(chunks)


def prepare(path, size):
    """Return an image file as uint8 (size, size, 3)."""
    formats = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")  # none runs a program
    image = Image.open(io.BytesIO(without_texts(Path(path).read_bytes())), formats=formats)
    kind = image.format
    if kind in ("JPEG", "MPO"):  # a large one is decoded at a fraction of its size
        image.draft("RGB", (4 * size, 4 * size))
    is_white_zero = kind == "TIFF" and image.tag_v2.get(262) == 0
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float32)
        grey = to_8_bits(values, image.mode, kind)
        grey = 255 - grey if is_white_zero else grey
        grey[values == image.info.get("transparency", np.nan)] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
for path in sys.argv[2:]:  # one by one, as a batch of many would need much memory
    (rows,) = session.run(None, {"images": prepare(path, int(about["size"]))[None]})
    print(path, json.loads(about["classes"])[rows[0].argmax()], f"{rows[0].max():.1%}")
