"""Classify images with an exported ONNX graph: python classify_onnx.py model.onnx photo.jpg …"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def to_8_bits(values, mode, kind):
    """Scale greyscale of more than 8 bits, where Pillow would clip."""
    limits = [255, 65535] if mode == "I" else [1, 255] if mode == "F" else [65535]
    if kind == "TIFF" and mode != "F":
        limits = [255, 4095, 65535]
    low, high = 0.0, next((n for n in limits if values.min() >= 0 and values.max() <= n), None)
    if high is None:
        low, high = float(values.min()), float(values.max())
    scaled = (values - np.float32(low)) * (255 / ((high - low) or 1))
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)


def prepare(path, size):
    """Return an image file as uint8 (size, size, 3)."""
    with Path(path).open("rb") as file:  # opened by its path, a TIFF may stay rotated
        image = Image.open(file)
        kind = image.format
        if kind in ("JPEG", "MPO"):  # a large one is decoded at a fraction of its size
            image.draft("RGB", (4 * size, 4 * size))
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(to_8_bits(np.asarray(image, np.float32), image.mode, kind))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
images = np.stack([prepare(path, int(about["size"])) for path in sys.argv[2:]])
(probabilities,) = session.run(None, {"images": images})
for path, row in zip(sys.argv[2:], probabilities, strict=True):
    print(path, json.loads(about["classes"])[row.argmax()], f"{row.max():.1%}")
