"""Page of the winner's HTTP service: static files, which may load only each other."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

_FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(self), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The next service on this port may have another version of the page.
    "Cache-Control": "no-store",
}
"""Headers of every file of the page; a browser that follows them asks no other origin."""


class Asset(NamedTuple):
    """File of the page."""

    content: bytes
    media_type: str


def load_page() -> dict[str, Asset]:
    """Return the files of the page by URL path."""
    folder = resources.files(__name__)
    return {
        path: Asset((folder / name).read_bytes(), media_type)
        for path, (name, media_type) in _FILES.items()
    }
