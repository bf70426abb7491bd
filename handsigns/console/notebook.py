"""Live display in a notebook cell."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

from IPython.display import display
from rich.console import Console, RenderableType

_WIDTH = 110
_MIN_REFRESH_INTERVAL_S = 0.25
_PAGE = '<pre style="white-space: pre; line-height: normal">{code}</pre>'


class NotebookDisplay:
    """Live display below the current cell; rich's own would need another package in notebooks.

    Args:
        render: returns the current content.
    """

    def __init__(self, render: Callable[[], RenderableType]) -> None:
        self._render = render
        self._last_update = time.monotonic()
        self._handle = display(self._mime_bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def refresh(self) -> None:
        """Redraw, unless the last update was too recent."""
        if time.monotonic() - self._last_update >= _MIN_REFRESH_INTERVAL_S:
            self.show()

    def show(self) -> None:
        """Redraw."""
        self._handle.update(self._mime_bundle(), raw=True)
        self._last_update = time.monotonic()

    def _mime_bundle(self) -> dict[str, str]:
        console = Console(
            file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False, highlight=False
        )
        console.print(self._render())
        page = console.export_html(inline_styles=True, code_format=_PAGE, clear=False)
        return {"text/html": page, "text/plain": console.export_text()}
