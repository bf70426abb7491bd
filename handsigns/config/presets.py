"""The search spaces that come with the project, and where a user's are; loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from handsigns.errors import ConfigError

MENU = Path(__file__).resolve().parents[2] / "search_spaces"
"""The search spaces that come with the project."""


def shipped_spaces() -> dict[str, Path]:
    """The menu: paths of the search spaces that come with the project, by name."""
    return {path.stem: path for path in sorted(MENU.glob("*.yaml"))}


def resolve_space_path(text: str) -> Path:
    """The file that a user means: a path, or a name from the menu.

    Raises:
        ConfigError: there is no such file; the message lists the menu.
    """
    path = Path(text)
    try:
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        raise ConfigError(f"{text!r} is no path: {error}") from error
    menu = shipped_spaces()
    if text in menu:
        return menu[text]
    raise ConfigError(f"no search space {text}; name a YAML file, or one of: {', '.join(menu)}")
