"""A block in a notebook's cell that is shown anew as it changes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

from IPython.display import display
from rich.console import Console, RenderableType

_WIDTH = 110
_SECONDS_BETWEEN = 0.25
_PAGE = '<pre style="white-space: pre; line-height: normal">{code}</pre>'


class NotebookBlock:
    """Shows what `render` makes, in the place where it was made; rich's own live display would need
    another package there.

    Args:
        render: makes the block as it is now.
    """

    def __init__(self, render: Callable[[], RenderableType]) -> None:
        self._render = render
        self._shown = time.monotonic()
        self._handle = display(self._bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def changed(self) -> None:
        """Show it anew, if the last time is long enough ago."""
        if time.monotonic() - self._shown >= _SECONDS_BETWEEN:
            self.show()

    def show(self) -> None:
        """Show it anew."""
        self._handle.update(self._bundle(), raw=True)
        self._shown = time.monotonic()

    def _bundle(self) -> dict[str, str]:
        console = Console(
            file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False, highlight=False
        )
        console.print(self._render())
        page = console.export_html(inline_styles=True, code_format=_PAGE, clear=False)
        return {"text/html": page, "text/plain": console.export_text()}
