"""Parsers of argument values, whose errors `argparse` reports with the argument."""

from __future__ import annotations

import contextlib
from argparse import ArgumentTypeError
from pathlib import Path

from handsigns.console.sanitize import printable
from handsigns.data.naming import is_utf8
from handsigns.data.splits import MAX_SIZE, MIN_SIZE


def folder(text: str) -> Path:
    """Parse the path of a folder, which commands that are suggested name: it must be UTF-8."""
    if not is_utf8(text):
        raise ArgumentTypeError(f"{printable(text)}: the path is not UTF-8; rename it")
    return Path(text)


def image_size(text: str) -> int:
    """Parse the height and width of the images in pixels."""
    number = int(text)
    if not MIN_SIZE <= number <= MAX_SIZE:
        raise ArgumentTypeError(f"{number} is not between {MIN_SIZE} and {MAX_SIZE}")
    return number


def port(text: str) -> int:
    """Parse a port number."""
    number = port_or_free(text)
    if number == 0:
        raise ArgumentTypeError("0 is not between 1 and 65535")
    return number


def port_or_free(text: str) -> int:
    """Parse a port number; 0 stands for any free port."""
    number = int(text)
    if not 0 <= number < 65536:
        raise ArgumentTypeError(f"{number} is not between 0 and 65535")
    return number


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"{number} is not at least 1")
    return number


def number_or_auto(text: str) -> float | str:
    """Parse a number; other text is returned, of which the search space allows ``auto``."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def margin(text: str) -> float:
    """Parse a percentage, such as 0.5%, as a fraction."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not text.endswith("%") or not 0 <= share < 1:
        raise ArgumentTypeError(f"{text!r} is not a percentage from 0% to below 100%, such as 0.5%")
    return share


def counts(text: str) -> tuple[int, ...]:
    """Parse numbers separated by commas."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,4,16") from None
