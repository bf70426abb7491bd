"""Parsing of request bodies; the service itself is tested in tests/test_api.py."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.data.image_files import InvalidImageError
from handsigns.winner.request_body import extract_image


def form(boundary: bytes, *parts: tuple[bytes, bytes]) -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + h + b"\r\n\r\n" + c + b"\r\n" for h, c in parts)
    return body + b"--" + boundary + b"--\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"'
FIELD = b'Content-Disposition: form-data; name="note"'


@given(st.binary())
def test_bodies_and_form_files_are_extracted_unchanged(content):
    assert extract_image(content, "image/png") == content
    assert extract_image(content, "") == content
    if b"xYz" not in content:
        body = form(b"xYz", (FIELD, b"text"), (FILE, content), (FILE, b"second"))
        assert extract_image(body, 'multipart/form-data; boundary="xYz"') == content


@given(st.binary(), st.text())
def test_any_form_yields_an_image_or_an_error(body, boundary):
    try:
        extract_image(body, f"multipart/form-data; boundary={boundary}")
    except InvalidImageError as error:
        assert "no file" in str(error)  # noqa: PT017 - either outcome is valid


def test_a_form_without_a_file_is_an_error():
    for kind in ("multipart/form-data; boundary=b", "multipart/form-data"):
        with pytest.raises(InvalidImageError, match="no file"):
            extract_image(form(b"b", (FIELD, b"text")), kind)


def test_a_text_field_named_filename_is_no_file():
    field = b'Content-Disposition: form-data; name="filename"'
    body = form(b"b", (field, b"text"), (FILE.replace(b"filename", b"FileName*"), b"image"))
    assert extract_image(body, "multipart/form-data; boundary=b") == b"image"


@pytest.mark.parametrize("name", ["t; filename=q", '\\"; filename=q'])
def test_the_name_of_a_text_field_may_be_anything(name):
    field = f'Content-Disposition: form-data; name="{name}"'.encode()
    body = form(b"b", (field, b"text"), (FILE, b"image"))
    assert extract_image(body, "multipart/form-data; boundary=b") == b"image"


@pytest.mark.parametrize("boundary", ["idna''xn--", "idna''%ff", "utf-8''%ff"])
def test_a_malformed_boundary_is_an_error(boundary):
    with pytest.raises(InvalidImageError):
        extract_image(b"--b--", f"multipart/form-data;boundary*={boundary}")


def test_a_form_of_very_many_parts_needs_little_memory():
    body = b"--b\r\n" * 200_000 + form(b"b", (FILE, b"image"))
    tracemalloc.start()
    with pytest.raises(InvalidImageError, match="no file"):
        extract_image(body, "multipart/form-data; boundary=b")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body)
