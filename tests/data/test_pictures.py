import io

import numpy as np
import pytest
from PIL import Image

from handsigns.data.pictures import BadPictureError, decode

RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def top_red_bottom_blue(size=(16, 16)):
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (0, size[1] // 2, size[0], size[1]))
    return image


def test_a_picture_of_the_size_stays_exact():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels)), 16), pixels)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode):
    values = np.full((16, 16), 200, np.uint8)
    if mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(values.astype(np.int32))
    elif mode == "F":
        image = Image.fromarray(values.astype(np.float32))
    elif mode == "P":
        image = Image.fromarray(values).convert("P")
    elif mode == "1":
        image = Image.fromarray(values).point(lambda v: 255 if v > 100 else 0).convert("1")
    else:
        image = Image.fromarray(values).convert("RGB").convert(mode)
    pixels = decode(encoded(image, "TIFF"), 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    expected = 255 if mode == "1" else 200
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_transparent_parts_are_white():
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 16, 8))
    pixels = decode(encoded(image), 16)
    assert pixels[12, 8].tolist() == [255, 255, 255]
    assert pixels[2, 8].tolist() == [0, 0, 255]


def test_a_transparent_palette_entry_is_white():
    image = Image.new("P", (16, 16), 1)
    image.putpalette([10, 20, 30, 255, 0, 0])
    image.paste(0, (0, 0, 16, 8))
    pixels = decode(encoded(image, transparency=1), 16)
    assert pixels[12, 8].tolist() == [255, 255, 255]
    assert pixels[2, 8].tolist() == [10, 20, 30]


def test_cmyk_jpeg():
    image = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    pixels = decode(encoded(image, "JPEG", quality=100), 16)
    assert np.abs(pixels[8, 8].astype(int) - (200, 40, 90)).max() <= 6


@pytest.mark.parametrize(
    ("orientation", "red_is"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")]
)
def test_exif_orientation(orientation, red_is):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encoded(top_red_bottom_blue(), "JPEG", exif=exif.tobytes(), quality=100), 16)
    sides = {"top": (2, 8), "bottom": (13, 8), "left": (8, 2), "right": (8, 13)}
    for side, place in sides.items():
        is_red = pixels[place][0] > 200 > 60 > pixels[place][2]
        assert is_red == (side == red_is), side


def test_of_a_wide_picture_the_central_square_is_taken():
    image = Image.new("RGB", (60, 20), BLUE)
    image.paste(RED, (20, 0, 40, 20))
    assert (decode(encoded(image), 10)[..., 0] > 240).all()


def test_shrinking_is_antialiased():
    fine = np.zeros((256, 256, 3), np.uint8)
    fine[::2] = 255  # stripes of one pixel: without antialiasing all black or all white
    pixels = decode(encoded(Image.fromarray(fine)), 16)
    assert np.abs(pixels.astype(int) - 127).max() <= 3


def test_a_large_jpeg_in_draft_looks_like_the_whole():
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    large = small.resize((1024, 1024), Image.Resampling.BICUBIC)
    exact = decode(encoded(large), 32).astype(int)
    assert np.abs(decode(encoded(large, "JPEG", quality=98), 32).astype(int) - exact).mean() < 2


def test_a_grey_jpeg():
    pixels = decode(encoded(Image.new("L", (40, 40), 77), "JPEG"), 16)
    assert np.abs(pixels.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_no_torn_file_is_taken_for_whole(kind):
    rng = np.random.default_rng(2)
    image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    whole = encoded(image, kind)
    for length in range(1, len(whole) - 40, max(1, len(whole) // 40)):
        with pytest.raises(BadPictureError):
            decode(whole[:length], 16)


def test_noise_is_no_picture():
    rng = np.random.default_rng(3)
    for length in (1, 10, 1000):
        with pytest.raises(BadPictureError, match="not an image"):
            decode(rng.bytes(length), 16)
