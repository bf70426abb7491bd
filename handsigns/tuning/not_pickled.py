"""Objects that live in the driver alone."""

from __future__ import annotations

from typing import Any


class NotPickled:
    """Pickles as an empty shell.

    Ray pickles its whole configuration so that it could restore the search by itself. Ours is
    restored from the journal, and these objects hold open files.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing."""
        return {}
