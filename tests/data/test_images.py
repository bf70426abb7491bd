import contextlib
import io
import re
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from handsigns.data.greyscale import EIGHT_BITS, NEARLY_BLACK, OWN_RANGE, TWELVE_BITS
from handsigns.data.image_files import InvalidImageError, read_bytes
from handsigns.data.images import FIRST_FRAME, decode, decode_with_info, prepare_image

RED, BLUE = (255, 0, 0), (0, 0, 255)
ROTATED = Image.Exif()
ROTATED[0x0112] = 3


def encode(image, image_format="PNG", **options):
    content = io.BytesIO()
    image.save(content, image_format, **options)
    return content.getvalue()


def red_above_blue(size=(16, 16)):
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (0, size[1] // 2, size[0], size[1]))
    return image


def test_image_of_the_target_size_stays_exact():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(decode(encode(Image.fromarray(pixels)), 16), pixels)


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
    pixels = decode(encode(image, "TIFF"), 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    expected = 255 if mode == "1" else 200
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_transparent_parts_become_white():
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 16, 8))
    pixels = decode(encode(image), 16)
    assert pixels[12, 8].tolist() == [255, 255, 255]
    assert pixels[2, 8].tolist() == [0, 0, 255]


def test_transparent_palette_entry_becomes_white():
    image = Image.new("P", (16, 16), 1)
    image.putpalette([10, 20, 30, 255, 0, 0])
    image.paste(0, (0, 0, 16, 8))
    pixels = decode(encode(image, transparency=1), 16)
    assert pixels[12, 8].tolist() == [255, 255, 255]
    assert pixels[2, 8].tolist() == [10, 20, 30]


def test_cmyk_jpeg():
    image = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    pixels = decode(encode(image, "JPEG", quality=100), 16)
    assert np.abs(pixels[8, 8].astype(int) - (200, 40, 90)).max() <= 6


@pytest.mark.parametrize(
    ("orientation", "red_is"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")]
)
def test_exif_orientation(orientation, red_is):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encode(red_above_blue(), "JPEG", exif=exif.tobytes(), quality=100), 16)
    sides = {"top": (2, 8), "bottom": (13, 8), "left": (8, 2), "right": (8, 13)}
    for side, position in sides.items():
        is_red = pixels[position][0] > 200 > 60 > pixels[position][2]
        assert is_red == (side == red_is), side


def test_wide_image_is_centre_cropped():
    image = Image.new("RGB", (60, 20), BLUE)
    image.paste(RED, (20, 0, 40, 20))
    assert (decode(encode(image), 10)[..., 0] > 240).all()


def test_downscaling_is_antialiased():
    fine = np.zeros((256, 256, 3), np.uint8)
    fine[::2] = 255  # stripes of one pixel: without antialiasing all black or all white
    pixels = decode(encode(Image.fromarray(fine)), 16)
    assert np.abs(pixels.astype(int) - 127).max() <= 3


def test_jpeg_draft_mode_matches_full_decoding():
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    large = small.resize((1024, 1024), Image.Resampling.BICUBIC)
    exact = decode(encode(large), 32).astype(int)
    assert np.abs(decode(encode(large, "JPEG", quality=98), 32).astype(int) - exact).mean() < 2


def test_grey_jpeg():
    pixels = decode(encode(Image.new("L", (40, 40), 77), "JPEG"), 16)
    assert np.abs(pixels.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF"])
def test_truncated_files_are_rejected(image_format):
    rng = np.random.default_rng(2)
    image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    content = encode(image, image_format)
    for length in range(1, len(content) - 40, max(1, len(content) // 40)):
        with pytest.raises(InvalidImageError):
            decode(content[:length], 16)


def test_random_bytes_are_not_an_image():
    rng = np.random.default_rng(3)
    for length in (1, 10, 1000):
        with pytest.raises(InvalidImageError, match="not an image"):
            decode(rng.bytes(length), 16)


def test_sixteen_bit_png_is_scaled_even_if_dark():
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    pixels, info = decode_with_info(encode(Image.fromarray(values)), 16)
    assert pixels.max() == 1
    assert info.remarks == (NEARLY_BLACK,)
    pixels, info = decode_with_info(encode(Image.fromarray(values * 257)), 16)
    assert np.array_equal(pixels[..., 0], values)
    assert info.remarks == ()


def grey_tiff(values, **options):
    """Decode a greyscale TIFF of 16x16 values; return its distinct grey levels, and remarks."""
    image = Image.fromarray(values.reshape(16, 16))
    pixels, info = decode_with_info(encode(image, "TIFF", **options), 16)
    return pixels[..., 0].reshape(-1), info.remarks


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_greyscale_is_scaled_in_blocks(kind, monkeypatch):
    values = (np.arange(256) * 100).astype(kind)
    whole = grey_tiff(values)[0]
    monkeypatch.setattr("handsigns.data.greyscale._BLOCK", 100)
    assert np.array_equal(grey_tiff(values)[0], whole)


@pytest.mark.parametrize(
    ("image", "image_format", "limit"),
    [
        (Image.new("RGBA", (2000, 2000), (9, 9, 9, 9)), "PNG", 14),
        (Image.new("RGB", (2000, 2000)), "PNG", 6),
        (Image.new("I;16", (2000, 2000)), "PNG", 13),
        (Image.new("F", (2000, 2000)), "TIFF", 18),
    ],
)
def test_decoding_needs_few_bytes_per_pixel(image, image_format, limit):
    content = encode(image, image_format)
    peak = Path("/proc/self/clear_refs")
    if not peak.exists():
        pytest.skip("the peak of the memory can be reset on Linux only")
    decode(encode(red_above_blue()), 16)
    peak.write_text("5")
    before = memory("VmRSS")
    decode(content, 16)
    assert (memory("VmHWM") - before) / (image.width * image.height) < limit


def memory(name: str) -> int:
    """Return a line of this process's status in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{name}:\s+(\d+)", status)[1])


LEVELS = np.arange(256)


@pytest.mark.parametrize("kind", [np.uint16, ">u2", np.int32])
@pytest.mark.parametrize(("largest", "remark"), [(4095, (TWELVE_BITS,)), (65535, ())])
def test_tiff_is_scaled_by_the_bits_of_its_values(kind, largest, remark):
    values = np.round(LEVELS * (largest / 255)).astype(kind)
    pixels, remarks = grey_tiff(values)
    assert np.array_equal(pixels, LEVELS)
    assert remarks == remark


def test_dark_twelve_bit_tiff_stays_dark():
    pixels, _ = grey_tiff((LEVELS * 4).astype(np.uint16))  # up to 1020 of 4095
    assert pixels.max() == 64


def test_eight_bit_values_in_sixteen_bits_are_kept():
    pixels, remarks = grey_tiff(LEVELS.astype(np.uint16))
    assert np.array_equal(pixels, LEVELS)
    assert remarks == (EIGHT_BITS,)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_tiff_whose_zero_is_white_is_inverted(kind):
    values = (LEVELS * (257 if kind == np.uint16 else 1)).astype(kind)
    assert np.array_equal(grey_tiff(values)[0], LEVELS)
    assert np.array_equal(grey_tiff(values, tiffinfo={262: 0})[0], LEVELS[::-1])


@pytest.mark.parametrize("scale", [1, 1 / 255])
def test_floats_up_to_one_or_255_have_that_range(scale):
    pixels, remarks = grey_tiff((LEVELS * scale).astype(np.float32))
    assert np.array_equal(pixels, LEVELS)
    assert remarks == ()
    assert grey_tiff((LEVELS * scale / 4).astype(np.float32))[0].max() == 64, "stays dark"


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32])
def test_values_without_a_range_have_their_own(kind):
    pixels, remarks = grey_tiff((LEVELS * 10 - 1024).astype(kind))  # as Hounsfield units
    assert np.array_equal(pixels, LEVELS)
    assert remarks == (OWN_RANGE,)


def test_values_that_are_no_numbers_are_black():
    values = (LEVELS * 100).astype(np.float32)
    values[:3] = np.nan, -np.inf, np.inf
    pixels, _ = grey_tiff(values)
    assert pixels[:3].tolist() == [0, 0, 255]
    assert pixels[255] == 255
    assert (grey_tiff(np.full(256, np.nan, np.float32))[0] == 0).all()
    assert (grey_tiff(np.full(256, -7, np.float32))[0] == 0).all()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "jpeg"])
@pytest.mark.parametrize(("orientation", "red_at"), [(1, (2, 8)), (3, (13, 8)), (6, (8, 13))])
def test_tiff_is_turned_upright_once(compression, orientation, red_at):
    content = encode(red_above_blue(), "TIFF", compression=compression, tiffinfo={274: orientation})
    pixel = decode(content, 16)[red_at]
    assert pixel[0] > 200 > 60 > pixel[2]


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_is_used_and_remarked_upon(image_format):
    later = [Image.new("RGB", (16, 16), BLUE), Image.new("RGB", (16, 16), "lime")]
    content = encode(
        Image.new("RGB", (16, 16), RED), image_format, save_all=True, append_images=later
    )
    pixels, info = decode_with_info(content, 16)
    assert pixels[8, 8, 0] > 200 > 60 > pixels[8, 8, 1]
    assert info.remarks == (FIRST_FRAME,)
    still = encode(Image.new("RGB", (16, 16), RED), image_format)
    assert decode_with_info(still, 16)[1].remarks == ()


def test_multi_picture_jpeg_is_a_photograph():
    mpo = encode(red_above_blue(), "MPO", save_all=True, append_images=[red_above_blue((8, 8))])
    with Image.open(io.BytesIO(mpo)) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    pixels, info = decode_with_info(mpo, 16)
    assert pixels[2, 8, 0] > 200 > 60 > pixels[2, 8, 2]
    assert info.remarks == ()


def encode_heic(image, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    content = io.BytesIO()
    pillow_heif.from_pillow(image).save(content, quality=95, **options)
    return content.getvalue()


@pytest.mark.parametrize(("orientation", "red_at"), [(1, (2, 8)), (6, (8, 13))])
def test_heic_is_decoded_upright(orientation, red_at):
    image = red_above_blue((64, 64))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    pixels, info = decode_with_info(encode_heic(image), 16)
    assert pixels[red_at][0] > 200 > 60 > pixels[red_at][2]
    assert info.remarks == ()


def test_size_and_mode_of_the_file_are_returned():
    image = red_above_blue((64, 48))
    for content, mode in ((encode_heic(image), "RGB"), (encode(image.convert("L"), "JPEG"), "L")):
        _, info = decode_with_info(content, 16)
        assert (info.size, info.mode) == ("64x48", mode)


def test_damaged_and_large_heic_are_rejected(monkeypatch):
    content = encode_heic(red_above_blue((64, 64)))
    for length in (40, len(content) // 2, len(content) - 100):
        with pytest.raises(InvalidImageError):
            decode(content[:length], 16)
    monkeypatch.setenv("HANDSIGNS_MAX_MEGAPIXELS", "0.001")
    with pytest.raises(InvalidImageError, match="too large"):
        decode(content, 16)


def test_heic_without_its_decoder_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"
    with pytest.raises(InvalidImageError, match=r"pip install 'handsigns\[heif\]'"):
        decode(head, 16)
    with pytest.raises(InvalidImageError, match="damaged AVIF"):
        decode(head.replace(b"heic", b"avif"), 16)


def test_half_transparent_pixels_are_blended_with_white():
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    assert np.abs(decode(encode(image), 16).astype(int) - 127).max() <= 1


@pytest.mark.parametrize(("mode", "transparent"), [("L", 9), ("RGB", (9, 9, 9))])
def test_transparent_colour_becomes_white(mode, transparent):
    image = Image.new(mode, (16, 16), transparent)
    assert (decode(encode(image, transparency=transparent), 16) == 255).all()


def test_transparent_sixteen_bit_grey_becomes_white():
    image = Image.new("I;16", (16, 16), 20000)
    image.paste(25700, (0, 0, 16, 8))
    pixels = decode(encode(image, transparency=20000), 16)
    assert (pixels[:8] == 100).all()
    assert (pixels[8:] == 255).all()


@pytest.mark.parametrize(("largest", "value", "grey"), [(65535, 200, 1), (1000, 3, 1)])
def test_dark_sixteen_bit_pgm_is_scaled_by_its_maximum(largest, value, grey):
    header = f"P5 16 16 {largest}\n".encode()
    assert (decode(header + value.to_bytes(2) * 256, 16) == grey).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Raw profile type exif", f"\nexif\n 9\n{ROTATED.tobytes().hex()}\n"),
        ("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>'),
    ],
    ids=["profile", "XMP"],
)
def test_orientation_in_texts_of_a_png_is_ignored(name, text):
    texts = PngInfo()
    texts.add_itxt(name, text)
    content = encode(red_above_blue(), pnginfo=texts)
    with Image.open(io.BytesIO(content)) as image:
        assert image.getexif()[0x0112] == 3
        assert np.array_equal(prepare_image(image, 16), decode(content, 16))
        assert np.array_equal(prepare_image(image.copy(), 16), decode(content, 16))


def test_orientation_after_the_pixels_of_a_png_counts():
    png = encode(red_above_blue())
    content = png[:-12] + chunk(b"eXIf", ROTATED.tobytes()[6:]) + png[-12:]
    assert decode(content, 16)[13, 8, 0] == 255
    with Image.open(io.BytesIO(content)) as image:
        assert prepare_image(image, 16)[13, 8, 0] == 255


def test_eps_files_are_not_passed_to_ghostscript():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    with pytest.raises(InvalidImageError, match="not an image"):
        decode(eps, 16)


def test_broken_exif_is_ignored():
    image = Image.new("RGB", (16, 16), BLUE)
    for exif in (b"Exif\0\0garbage!!", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\x01"):
        assert decode(encode(image, "JPEG", exif=exif), 16)[8, 8, 2] > 200


def test_threads_restore_the_process_warning_filters():
    # Warnings are errors in these tests, so a leaked one would also fail the decoding.
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\x01"
    content = encode(Image.new("RGB", (16, 16), BLUE), "JPEG", exif=broken)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(lambda _: decode(content, 16), range(400)))
    assert len(decoded) == 400
    assert list(warnings.filters) == before


@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"]),
    st.integers(0, 10**6),
    st.binary(max_size=4),
)
def test_damaged_image_gives_pixels_or_a_reason(image_format, offset, junk):
    content = bytearray(encode(red_above_blue(), image_format))
    offset %= len(content)
    content[offset : offset + len(junk)] = junk
    with contextlib.suppress(InvalidImageError):
        assert decode(bytes(content), 16).shape == (16, 16, 3)


def test_unreadable_files_are_rejected_with_a_reason(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for name, reason in (
        ("", "not a regular file"),
        ("nowhere", "unreadable: No such file or directory"),
        ("empty", "empty: 0 bytes"),
        ("n" * 300, "unreadable: File name too long"),
        ("null\0byte", "unreadable: embedded null byte"),
    ):
        with pytest.raises(InvalidImageError) as caught:
            read_bytes(tmp_path / name)
        assert str(caught.value) == reason


def test_file_without_read_permission_is_rejected(tmp_path, monkeypatch):
    # Simulated: root, which may run the tests in a container, can read everything.
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "locked").write_bytes(b"x")
    monkeypatch.setattr(type(tmp_path), "read_bytes", refuse)
    with pytest.raises(InvalidImageError, match="unreadable: Permission denied"):
        read_bytes(tmp_path / "locked")


def chunk(chunk_type, data):
    crc = zlib.crc32(chunk_type + data)
    return struct.pack(">I", len(data)) + chunk_type + data + struct.pack(">I", crc)


@pytest.mark.parametrize(
    "metadata",
    [
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"\0" * 2_000_000)),
        chunk(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 2_000_000)),
        chunk(b"iTXt", b"\xff" * 40),
        chunk(b"tEXt", b"no separator")[:-1] + b"\0",
    ],
    ids=["large profile", "large text", "garbage", "wrong checksum"],
)
def test_bad_png_metadata_is_ignored(metadata):
    png = encode(Image.new("RGB", (16, 16), BLUE))
    assert decode(png[:33] + metadata + png[33:], 16)[8, 8].tolist() == list(BLUE)


def jpeg_with_exif(entries, tail=b""):
    """Return a JPEG, red above blue, with EXIF entries of tag, type, count and value."""
    jpeg = encode(red_above_blue(), "JPEG", quality=100)
    packed_entries = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    header = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    exif = header + packed_entries + b"\0\0\0\0" + tail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535).filter(lambda tag: tag != 0x112),
            st.integers(0, 20),
            st.integers(0, 2**32 - 1),
            st.binary(min_size=4, max_size=4),
        ),
        max_size=6,
    ),
    st.binary(max_size=20),
)
def test_exif_fields_other_than_orientation_are_ignored(entries, tail):
    rotated = (0x112, 3, 1, struct.pack("<I", 3))
    pixels = decode(jpeg_with_exif([rotated, *entries], tail), 16)
    assert pixels.shape == (16, 16, 3)
    if all(kind in (1, 3, 4) and count == 1 for _, kind, count, _ in entries):
        assert pixels[13, 8, 0] > 200, "upside down"


@pytest.mark.parametrize("value", [(3, 1, 0), (3, 1, 77), (2, 3, 0x30), (10, 1, 38), (5, 1, 38)])
def test_invalid_exif_orientation_is_ignored(value):
    kind, count, number = value
    content = jpeg_with_exif([(0x112, kind, count, struct.pack("<I", number))], b"\0" * 8)
    assert decode(content, 16)[2, 8, 0] > 200


def test_large_jpeg_is_decoded_at_reduced_size(monkeypatch):
    monkeypatch.setenv("HANDSIGNS_MAX_MEGAPIXELS", "0.05")
    large = encode(Image.new("RGB", (1600, 1200), RED), "JPEG")
    assert decode(large, 16)[8, 8, 0] > 200, "a 64th of 1.9 megapixels is decoded"
    before = Image.MAX_IMAGE_PIXELS
    for content in (
        encode(Image.new("RGB", (1600, 1200), RED), "JPEG", progressive=True),
        encode(Image.new("RGB", (1600, 1200), RED)),
    ):
        with pytest.raises(InvalidImageError, match="2 megapixels to decode"):
            decode(content, 16)
    assert before == Image.MAX_IMAGE_PIXELS


def test_png_of_very_many_chunks_is_rejected():
    png = encode(Image.new("RGB", (16, 16), BLUE))
    few, many = (png[:33] + number * chunk(b"teSt", b"") + png[33:] for number in (100, 100_000))
    assert decode(few, 16)[8, 8].tolist() == list(BLUE)
    with pytest.raises(InvalidImageError, match="PNG of more than 100,000 chunks"):
        decode(many, 16)
