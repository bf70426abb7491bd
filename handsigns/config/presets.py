"""Search-space presets that ship with handsigns; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

from handsigns.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
_PACKAGED = _PACKAGE / "search_spaces"
PRESETS_DIR = _PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parent / "search_spaces"
"""Folder of the presets: inside the package in a wheel, beside it in a checkout."""


def list_presets() -> dict[str, Path]:
    """Return the paths of the presets by name."""
    return {path.stem: path for path in sorted(PRESETS_DIR.glob("*.yaml"))}


def resolve_search_space(text: str) -> Path:
    """Return the search-space file for the name of a preset or a path.

    Presets take precedence over files in the working directory; a file of the same name can be
    given as a path (``./full``) or with its suffix (``full.yaml``).

    Raises:
        ConfigError: there is no such preset or file; the message lists the presets.
    """
    presets = list_presets()
    if text in presets:
        return presets[text]
    path = Path(text)
    try:
        if path.is_dir():
            raise ConfigError(f"{text} is a folder; name a YAML file in it, or a preset")
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        raise ConfigError(f"{text!r} is not a valid path: {error}") from error
    raise ConfigError(f"no search space {text}; name a YAML file, or one of: {', '.join(presets)}")
