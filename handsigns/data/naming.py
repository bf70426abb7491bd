"""Names of classes and splits: their order, and their spellings."""

from __future__ import annotations

import re
import unicodedata

from handsigns.data.splits import SplitName

_SPLIT_WORDS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout"),
}
_SPLIT_NOUNS = re.compile("(sets?|data|dataset|split|images?|imgs?|pictures?|photos?)$")
"""Optional suffixes of split names: ``Training_Set``, ``test-images``."""


def split_of(name: str) -> SplitName | None:
    """Return the split that a name denotes, in any common spelling."""
    word = re.sub(r"[\s_.-]+", "", name.lower())
    plain = _SPLIT_NOUNS.sub("", word)
    return next((s for s, words in _SPLIT_WORDS.items() if {word, plain} & {*words}), None)


def is_utf8(name: str) -> bool:
    """Return whether a file name, as Python decoded it, is valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain_path(file: str) -> str:
    """Return a path of a table with slashes, as on Windows it may have others, and in NFC."""
    return unicodedata.normalize("NFC", file.replace("\\", "/"))


def natural_sort_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that places ``2`` before ``10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)
