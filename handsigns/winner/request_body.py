"""Bodies of HTTP requests with an image, and the limit of their size."""

from __future__ import annotations

import email.message
import re
from collections.abc import Iterator
from typing import Any

from handsigns.data.image_files import MAX_FILE_BYTES, InvalidImageError

_MAX_PARTS = 100
"""Limit on the parts of a form that are searched for a file."""
_MAX_HEAD_BYTES = 16 * 2**10
"""Limit on the headers of a part, which say whether it is a file."""
_QUOTED = re.compile(rb'"(?:\\.|[^"\\])*"?', re.DOTALL)
_FILE = re.compile(rb";\s*filename\*?=", re.IGNORECASE)


class TooLargeError(Exception):
    """Request body over the size limit of images."""


def check_length(request: Any) -> None:
    """Check the length of its body that a Starlette request states, if any.

    Raises:
        TooLargeError: it is over the limit of images.
    """
    length = request.headers.get("content-length", "")
    # Python converts no digits beyond a limit.
    if length.isdecimal() and (len(length) > 18 or int(length) > MAX_FILE_BYTES):
        raise TooLargeError


async def read_body(request: Any) -> bytes:
    """Return the body of a Starlette request, read no further than the size limit of images.

    Raises:
        TooLargeError: it is over the limit.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FILE_BYTES:
            raise TooLargeError
    return bytes(body)


def extract_image(body: bytes, content_type: str) -> bytes:
    """Return the image in a request: its body, or the first file of a multipart form (RFC 7578).

    Raises:
        InvalidImageError: the form has no file, or an invalid boundary.
    """
    header = email.message.Message()
    header["content-type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        return body
    try:
        boundary = str(header.get_boundary("")).encode()
    except (LookupError, ValueError) as error:  # an encoded boundary (RFC 2231) that is malformed
        raise InvalidImageError("the form has an invalid boundary") from error
    if boundary:
        for start, end in _parts(body, boundary):
            content = body.find(b"\r\n\r\n", start, min(end, start + _MAX_HEAD_BYTES)) + 4
            # The quoted name of a field may have any text.
            if content > start and _FILE.search(_QUOTED.sub(b"", body[start:content])):
                return body[content:end]
    raise InvalidImageError("the form has no file")


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each part of a form, up to a limit.

    Each part starts after a line with the boundary; no part may contain such a line.
    """
    delimiter = b"\r\n--" + boundary
    end = body.find(delimiter[2:]) - 2  # no line need end before the first
    for _ in range(_MAX_PARTS):
        start = end + len(delimiter)
        end = body.find(delimiter, start)
        if end < 0:
            return
        yield start, end
