"""What a request may hold. The server itself is tried in tests/test_api.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.images import BadPictureError
from handsigns.winner.serve import picture_in


def form(boundary: bytes, *parts: tuple[bytes, bytes]) -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + h + b"\r\n\r\n" + c + b"\r\n" for h, c in parts)
    return body + b"--" + boundary + b"--\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"'
FIELD = b'Content-Disposition: form-data; name="note"'


@given(st.binary())
def test_whatever_a_body_or_a_file_holds_comes_out_whole(content):
    assert picture_in(content, "image/png") == content
    assert picture_in(content, "") == content
    if b"xYz" not in content:
        body = form(b"xYz", (FIELD, b"text"), (FILE, content), (FILE, b"second"))
        assert picture_in(body, 'multipart/form-data; boundary="xYz"') == content


@given(st.binary(), st.text())
def test_any_form_gives_a_picture_or_an_error(body, boundary):
    try:
        picture_in(body, f"multipart/form-data; boundary={boundary}")
    except BadPictureError as error:
        assert "no file" in str(error)  # noqa: PT017 - either outcome is right


def test_a_form_without_a_file():
    for kind in ("multipart/form-data; boundary=b", "multipart/form-data"):
        with pytest.raises(BadPictureError, match="no file"):
            picture_in(form(b"b", (FIELD, b"text")), kind)
