"""The example script for exported models agrees with `predict`, and runs without handsigns."""

import ast
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.images import decode, preprocessing
from handsigns.winner.export import export_winner
from handsigns.winner.predict import load_winner
from handsigns.winner.quantize import export_int8
from tests.support.winners import data_of, save_winner, trained_network
from tests.support.workspace import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "use-the-winner.md"
SCRIPT = REPOSITORY / "examples" / "classify_onnx.py"
SIZE = 32


@pytest.fixture
def prepare():
    """Return the function of the script with its imports, without ONNX."""
    tree = ast.parse(SCRIPT.read_text())
    tree.body = [
        node for node in tree.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Import | ast.ImportFrom) and "onnx" not in ast.unparse(node))
    ]  # fmt: skip
    namespace = {}
    exec(compile(tree, str(SCRIPT), "exec"), namespace)
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


def text(name, value):
    info = PngInfo()
    info.add_text(name, value, zip=True)
    return smooth(70, 90), "PNG", {"pnginfo": info}


def with_gaps():
    values = noise(50, 70, dtype=np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    return Image.fromarray(values), "TIFF", {}


ORIENTATION = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
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
    "transparent 16-bit grey": (
        Image.fromarray(noise(9, 9, high=2, dtype=np.uint16) * 20000),
        "PNG",
        {"transparency": 20000},
    ),
    "dark 16-bit grey": (Image.fromarray(noise(50, 70, high=200, dtype=np.uint16)), "PNG", {}),
    "16-bit grey TIFF": (Image.fromarray(noise(50, 70, high=65536, dtype=np.uint16)), "TIFF", {}),
    "16-bit grey TIFF whose zero is white": (
        Image.fromarray(noise(50, 70, high=65536, dtype=np.uint16)),
        "TIFF",
        {"tiffinfo": {262: 0}},
    ),
    "dark 16-bit PGM": (Image.fromarray(noise(50, 70, dtype=np.uint16)), "PPM", {}),
    "32-bit grey": (Image.fromarray(noise(50, 70, high=65536, dtype=np.int32)), "TIFF", {}),
    "32-bit grey of 8 bits": (Image.fromarray(noise(50, 70, dtype=np.int32)), "TIFF", {}),
    "float": (Image.fromarray(noise(50, 70, dtype=np.float32)), "TIFF", {}),
    "12-bit TIFF": (Image.fromarray(noise(50, 70, high=4096, dtype=np.uint16)), "TIFF", {}),
    "8-bit values in a 16-bit TIFF": (Image.fromarray(noise(9, 9, dtype=np.uint16)), "TIFF", {}),
    "signed": (Image.fromarray(noise(50, 70, high=4096, dtype=np.int32) - 1024), "TIFF", {}),
    "float up to 1": (Image.fromarray(noise(50, 70, dtype=np.float32) / 255), "TIFF", {}),
    "float with its own range": (Image.fromarray(noise(9, 9, dtype=np.float32) * 9), "TIFF", {}),
    "float with gaps": with_gaps(),
    "float without a number": (Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF", {}),
    "orientation in XMP": text("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>'),
    "orientation in a profile": text(
        "Raw profile type exif", f"\nexif\n{len(ORIENTATION):8}\n{ORIENTATION.hex()}\n"
    ),
    "orientation of a PNG": (smooth(70, 90), "PNG", {"exif": ORIENTATION}),
    "large text": text("note", 2_000_000 * "a"),
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


def test_the_recipe_runs_no_other_program(prepare, tmp_path):
    Image.fromarray(noise(9, 9, 3)).save(tmp_path / "photo.jpg", "EPS")
    with pytest.raises(UnidentifiedImageError):
        prepare(tmp_path / "photo.jpg", SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
def test_the_script_classifies_as_the_winner_does(tmp_path, make_split, int8):
    """The script runs as a program of its own, without handsigns and torch."""
    pytest.importorskip("onnxruntime")
    split = make_split(48, size=SIZE)
    config = TrialConfig(channel_width=4)
    folder = save_winner(tmp_path / "winner", config, trained_network(config, split))
    graph = folder / "model.onnx"
    export_winner(folder, "onnx", graph, split.images)
    if int8:
        export_int8(graph, graph, data_of(split, split), max_accuracy_drop=1, progress=print)
    files = [f"photo{index}.png" for index in range(5)]
    for file, image in zip(files, split.images, strict=False):
        Image.fromarray(image).resize((50, 40)).save(tmp_path / file)
    blocked = "import sys; sys.modules |= dict.fromkeys(['handsigns', 'torch', 'torchvision'])\n"
    (tmp_path / "alone.py").write_text(blocked + SCRIPT.read_text())
    printed = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "alone.py", str(graph), *files],
        cwd=tmp_path, capture_output=True, text=True, check=True, encoding="utf-8",
    ).stdout  # fmt: skip
    labels = load_winner(folder).predict([tmp_path / file for file in files])
    expected = [f"{file} {label}" for file, label in zip(files, labels, strict=True)]
    assert [line.rpartition(" ")[0] for line in printed.splitlines()] == expected


def test_the_script_is_short_and_needs_three_packages():
    source = SCRIPT.read_text()
    assert len([line for line in source.splitlines() if line.strip()]) <= 60
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "PIL"}


def test_the_page_and_the_metadata_describe_the_same_preprocessing():
    text = " ".join(PAGE.read_text().split())
    for part in preprocessing(64).replace("64", "`size`").split(", "):
        assert part in text
