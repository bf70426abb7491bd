"""Origin of HTTP requests: those that a browser sends for a page of another site are refused."""

from __future__ import annotations

import re
from typing import Any

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)


def foreign_origin(request: Any) -> str:
    """Return why a Starlette request to a service on loopback is refused; empty if it is not.

    Any page may send requests to loopback. Browsers state in Sec-Fetch-Site whose page it was
    (https://www.w3.org/TR/fetch-metadata/); other programs do not. Nor can they be told apart by
    the address if a page has its own name resolve to loopback (DNS rebinding), but by the name.
    """
    headers = request.headers
    host = headers.get("host", "localhost")
    if not _LOOPBACK.fullmatch(host):
        return "this service is on loopback; address it as localhost or 127.0.0.1"
    followed_link = request.method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not followed_link:
        return "requests of other sites' pages are refused"
    return ""
