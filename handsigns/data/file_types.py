"""File types: images, by suffix or content, and files left behind by operating systems."""

from __future__ import annotations

from pathlib import Path, PurePath

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".png", ".webp", ".bmp", ".dib",
     ".ppm", ".pgm", ".pbm", ".pnm")
)  # fmt: skip
"""Suffixes of supported images; the decoder goes by the content."""
_UNSUPPORTED_SUFFIXES = frozenset(
    (".heic", ".heif", ".hif", ".avif", ".gif", ".tif", ".tiff", ".jp2", ".j2k", ".jxl", ".svg",
     ".psd", ".ico", ".tga", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf",
     ".rw2", ".eps")
)  # fmt: skip
"""Suffixes of unsupported images, which are reported rather than ignored."""
_OTHER_SUFFIXES = frozenset(
    (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".htm",
     ".ini", ".log", ".py", ".ipynb", ".pdf", ".zip", ".tar", ".gz", ".mat", ".npy", ".npz", ".h5",
     ".pkl", ".pt", ".pth", ".mp4", ".mov", ".avi", ".db")
)  # fmt: skip
"""Suffixes of other files, which need not be opened."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SYSTEM_FILES = frozenset(
    ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin",
     "system volume information", "lost+found", "icon\r")
)  # fmt: skip


def is_system_file(name: str) -> bool:
    """Return whether a file or folder is hidden, or left behind by an operating system or a NAS."""
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix or, if that is unknown, its content."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in _UNSUPPORTED_SUFFIXES:
        return True
    if suffix in _OTHER_SUFFIXES or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return webp or head.startswith(_SIGNATURES) or head[4:8] == b"ftyp"


def unsupported_format(name: str) -> str:
    """Return the format of an unsupported image, such as ``HEIC``; empty for a supported one."""
    suffix = PurePath(name).suffix.lower()
    return suffix[1:].upper() if suffix in _UNSUPPORTED_SUFFIXES else ""
