"""Bodies of HTTP requests with an image, and the limit of their size."""

from __future__ import annotations

import email.message
from typing import Any

from handsigns.data.images import MAX_FILE_BYTES, InvalidImageError


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
        InvalidImageError: the form has no file.
    """
    header = email.message.Message()
    header["content-type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        return body
    boundary = str(header.get_boundary("")).encode()
    # Each part starts after a line with the boundary; no part may contain such a line.
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else []:
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename" in head.lower():
            return content
    raise InvalidImageError("the form has no file")
