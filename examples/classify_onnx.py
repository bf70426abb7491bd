"""Classify images with an exported ONNX graph: python classify_onnx.py model.onnx photo.jpg …"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def prepare(path, size):
    """Return an image file as uint8 (size, size, 3)."""
    image = Image.open(path)
    image.draft("RGB", (4 * size, 4 * size))  # decodes a large JPEG at a fraction of its size
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # more than 8 bits: scaled, where Pillow would clip
        values = np.asarray(image, np.float32)
        if image.mode != "F" and (image.mode != "I" or values.max() > 255):
            values = values * (255 / 65535)
        image = Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))
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
