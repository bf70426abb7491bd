"""Search-space presets that ship with handsigns, and how to name one; loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from handsigns.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
_PACKAGED = _PACKAGE / "search_spaces"
PRESETS_DIR = _PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parent / "search_spaces"
"""Inside the package where a wheel was installed, beside it in a checkout."""


def shipped_spaces() -> dict[str, Path]:
    """Return the paths of the presets by name."""
    return {path.stem: path for path in sorted(PRESETS_DIR.glob("*.yaml"))}


def resolve_space_path(text: str) -> Path:
    """Return the search-space file that a user means: the name of a preset, or a path.

    A preset comes first, whatever lies in the working directory; a file of its name is meant by a
    path (``./full``) or with its ending (``full.yaml``).

    Raises:
        ConfigError: there is no such file; the message lists the presets.
    """
    presets = shipped_spaces()
    if text in presets:
        return presets[text]
    path = Path(text)
    try:
        if path.is_dir():
            raise ConfigError(f"{text} is a folder; name a YAML file in it, or a preset")
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        raise ConfigError(f"{text!r} is no path: {error}") from error
    raise ConfigError(f"no search space {text}; name a YAML file, or one of: {', '.join(presets)}")
