"""Mixin for objects that exist only in the driver."""

from __future__ import annotations

from typing import Any


class NotPickled:
    """Mixin whose instances pickle without their state.

    Ray pickles its whole configuration to be able to restore a search by itself. Searches are
    restored from the journal instead, and these objects hold open files.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}
