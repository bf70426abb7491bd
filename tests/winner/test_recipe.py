"""The docs' preprocessing recipe for exported models agrees with `predict`."""

import ast
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from handsigns.data.images import decode, preprocessing

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "use-the-winner.md"
(RECIPE,) = (
    block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    if "onnxruntime" in block
)  # fmt: skip
SIZE = 32


@pytest.fixture
def prepare():
    """Return the function of the docs with its imports, without handsigns and ONNX."""
    tree = ast.parse(RECIPE)
    tree.body = [
        node for node in tree.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Import | ast.ImportFrom) and "onnx" not in ast.unparse(node))
    ]  # fmt: skip
    imported = [ast.unparse(node) for node in tree.body if not isinstance(node, ast.FunctionDef)]
    assert sorted(imported) == [
        "from PIL import Image, ImageOps", "import json", "import numpy as np",
    ]  # fmt: skip
    namespace = {}
    exec(compile(tree, str(PAGE), "exec"), namespace)
    return namespace["prepare"]


def noise(*shape, high=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def smooth(height, width):
    """Return an image of gradients, like a photograph: noise would not survive JPEG."""
    y, x = np.mgrid[0:height, 0:width]
    channels = np.stack([y * 255 / height, x * 255 / width, (x + y) % 256], axis=2)
    return Image.fromarray(channels.astype(np.uint8))


def palette(transparency):
    image = Image.fromarray(noise(40, 50, 3)).quantize(16)
    return image, "PNG", {"transparency": transparency}


def rotated(orientation, mode="RGB"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return smooth(70, 90).convert(mode), "JPEG", {"exif": exif}


IMAGES = {
    "transparent": (Image.fromarray(noise(50, 70, 4)), "PNG", {}),
    "transparent, of the target size": (Image.fromarray(noise(SIZE, SIZE, 4)), "PNG", {}),
    "grey and transparent": (Image.fromarray(noise(50, 70, 4)).convert("LA"), "PNG", {}),
    "one transparent colour": (Image.fromarray(noise(9, 9, 3)), "PNG", {"transparency": (0, 0, 0)}),
    "transparent WebP": (Image.fromarray(noise(50, 70, 4)), "WEBP", {"lossless": True}),
    "palette": (Image.fromarray(noise(40, 50, 3)).quantize(16), "PNG", {}),
    "transparent palette": palette(3),
    "half-transparent palette": palette(bytes(range(0, 256, 16))),
    "GIF": (Image.fromarray(noise(40, 50, 3)).quantize(16), "GIF", {}),
    "black and white": (Image.fromarray(noise(40, 50)).convert("1"), "PNG", {}),
    "grey": (Image.fromarray(noise(33, 65)), "PNG", {}),
    "16-bit grey": (Image.fromarray(noise(50, 70, high=65536, dtype=np.uint16)), "PNG", {}),
    "dark 16-bit grey": (Image.fromarray(noise(50, 70, high=200, dtype=np.uint16)), "PNG", {}),
    "16-bit grey TIFF": (Image.fromarray(noise(50, 70, high=65536, dtype=np.uint16)), "TIFF", {}),
    "32-bit grey": (Image.fromarray(noise(50, 70, high=65536, dtype=np.int32)), "TIFF", {}),
    "32-bit grey of 8 bits": (Image.fromarray(noise(50, 70, dtype=np.int32)), "TIFF", {}),
    "float": (Image.fromarray(noise(50, 70, dtype=np.float32)), "TIFF", {}),
    "12-bit TIFF": (Image.fromarray(noise(50, 70, high=4096, dtype=np.uint16)), "TIFF", {}),
    "8-bit values in a 16-bit TIFF": (Image.fromarray(noise(9, 9, dtype=np.uint16)), "TIFF", {}),
    "signed": (Image.fromarray(noise(50, 70, high=4096, dtype=np.int32) - 1024), "TIFF", {}),
    "float up to 1": (Image.fromarray(noise(50, 70, dtype=np.float32) / 255), "TIFF", {}),
    "float with its own range": (Image.fromarray(noise(9, 9, dtype=np.float32) * 9), "TIFF", {}),
    "rotated 16-bit TIFF": (
        Image.fromarray(noise(50, 70, high=4096, dtype=np.uint16)),
        "TIFF",
        {"tiffinfo": {274: 6}},
    ),
    "AVIF": (smooth(70, 90), "AVIF", {}),
    "animated WebP": (
        smooth(70, 90),
        "WEBP",
        {"save_all": True, "append_images": [smooth(70, 90).rotate(90)]},
    ),
    "CMYK JPEG": (smooth(70, 90).convert("CMYK"), "JPEG", {}),
    "CMYK TIFF": (smooth(70, 90).convert("CMYK"), "TIFF", {}),
    "large JPEG": (smooth(900, 1201), "JPEG", {}),
    "large PNG": (smooth(900, 1201), "PNG", {}),
    "progressive JPEG": (smooth(601, 400), "JPEG", {"progressive": True}),
    "one pixel": (Image.fromarray(noise(1, 1, 3)), "PNG", {}),
    "odd and narrow": (Image.fromarray(noise(101, 3, 3)), "BMP", {}),
    **{f"rotated {number}": rotated(number) for number in range(1, 9)},
    "grey and rotated": rotated(6, "L"),
    "CMYK and rotated": rotated(8, "CMYK"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_recipe_agrees_with_predict(name, prepare, tmp_path):
    image, kind, options = IMAGES[name]
    image.save(tmp_path / "image", kind, **options)
    expected = decode((tmp_path / "image").read_bytes(), SIZE)
    assert np.array_equal(prepare(tmp_path / "image", SIZE), expected)


def test_the_whole_recipe_runs(tmp_path, monkeypatch, capsys):
    """The fake session predicts the class of the brightest channel."""

    class Session:
        def __init__(self, path):
            assert path == "results/mine/winner/model.onnx"

        def get_modelmeta(self):
            return SimpleNamespace(custom_metadata_map={"size": "8", "classes": '["r", "g", "b"]'})

        def run(self, outputs, inputs):
            assert inputs["images"].shape == (1, 8, 8, 3)
            return [inputs["images"].mean((1, 2))]

    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Session))
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20, 10), "lime").save("photo.jpg")
    exec(RECIPE, {})
    assert capsys.readouterr().out == "g\n"


def test_the_page_and_the_metadata_describe_the_same_preprocessing():
    text = " ".join(PAGE.read_text().split())
    for part in preprocessing(64).replace("64", "`size`").split(", "):
        assert part in text
