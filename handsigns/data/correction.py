"""Correction of an image's label, as it is stored with a search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Correction:
    """Correction of an image's label.

    Attributes:
        image: name of the image, as `printable` returns it.
        label: its class; None excludes the image.
        digest: digest of its pixels, which are compared; empty if unknown.
        row: file and line that ask for it.
    """

    image: str
    label: str | None
    digest: str
    row: str
