"""Changed copies of images that are found to be near-duplicates.

    python benchmarks/near_duplicates.py
    python benchmarks/near_duplicates.py --data my/photographs

Some of the training images are encoded again, darkened, moved, turned or cropped; the table has the
share of these copies that are found. Without --data, they are synthetic hands. How many of the
images of a folder are near-duplicates, `handsigns check` tells.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from harness import (
    Table,
    finish,
    log_progress,
    make_parser,
    parse,
    temporary_folder,
    write_synthetic_images,
)
from PIL import Image, ImageEnhance

from handsigns.data.dataset import open_data
from handsigns.data.near_duplicates import Pixels, find_groups

Change = Callable[[Image.Image], Image.Image]


def main() -> int:
    """Compare the images and their copies, and print the table."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder of images; default: synthetic hands")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--copies", type=int, default=150, help="images that are changed")
    args = parse(parser, size=32, copies=5)
    with temporary_folder() as folder:
        source = args.data
        if source is None:
            source = folder / "hands"
            num_images = max(12, args.copies)
            counts = {"train": num_images, "val": 6, "test": 6}
            write_synthetic_images(source, counts, args.size, "png")
        images = list(open_data(source, size=args.size).train.images)
    return finish([_table(images, args.copies)], [], args)


def _table(images: Sequence[Pixels], count: int) -> Table:
    step = max(1, len(images) // count)
    chosen = list(images[::step])[:count]
    rows = []
    for name, change in CHANGES.items():
        log_progress(name)
        copies = [np.asarray(change(Image.fromarray(image))) for image in chosen]
        labels = find_groups([*chosen, *copies])
        found = labels[: len(chosen)] == labels[len(chosen) :]
        rows.append((name, f"{found.mean():.0%}"))
    return Table(f"Copies found, of {len(chosen)} images", ("change", "found"), rows)


def _jpeg(quality: int) -> Change:
    def encode(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return encode


def _half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2)).resize(image.size)


def _noise(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _brightness(factor: float) -> Change:
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def _contrast(image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(0.7)


def _gamma(image: Image.Image) -> Image.Image:
    return image.point(lambda value: round(255 * (value / 255) ** 1.5))


def _moved(share: float) -> Change:
    """Move the content down and right, and repeat what is at the edge."""

    def move(image: Image.Image) -> Image.Image:
        pixels, by = np.asarray(image), max(1, round(share * image.width))
        padded = np.pad(pixels, ((by, 0), (by, 0), (0, 0)), mode="edge")
        return Image.fromarray(padded[: image.height, : image.width])

    return move


def _turned(degrees: float) -> Change:
    """Turn by an angle, with mirrored edges in place of black corners."""

    def turn(image: Image.Image) -> Image.Image:
        margin = image.width // 4
        padded = np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), "reflect")
        turned = Image.fromarray(padded).rotate(degrees, Image.Resampling.BILINEAR)
        return turned.crop((margin, margin, margin + image.width, margin + image.height))

    return turn


def _cropped(share: float) -> Change:
    def crop(image: Image.Image) -> Image.Image:
        edge = share * image.width
        box = (edge, edge, image.width - edge, image.height - edge)
        return image.resize(image.size, Image.Resampling.BILINEAR, box=box)

    return crop


CHANGES: dict[str, Change] = {
    "JPEG quality 40": _jpeg(40),
    "JPEG quality 15": _jpeg(15),
    "half the size": _half,
    "noise of 8 grey levels": _noise,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "brightness 0.7": _brightness(0.7),
    "brightness 1.3, clipped": _brightness(1.3),
    "contrast 0.7": _contrast,
    "gamma 1.5": _gamma,
    "moved by 3 %": _moved(0.03),
    "moved by 6 %": _moved(0.06),
    "turned by 2 degrees": _turned(2.0),
    "turned by 4 degrees": _turned(4.0),
    "cropped by 3 % a side": _cropped(0.03),
    "cropped by 5 % a side": _cropped(0.05),
    "cropped by 8 % a side": _cropped(0.08),
}


if __name__ == "__main__":
    sys.exit(main())
