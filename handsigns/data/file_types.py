"""File types: images, by suffix or content, and files left behind by operating systems."""

from __future__ import annotations

from pathlib import Path, PurePath

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo", ".png", ".apng", ".webp",
     ".gif", ".tif", ".tiff", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif",
     ".avifs", ".heic", ".heif", ".hif", ".heics", ".heifs")
)  # fmt: skip
"""Suffixes of supported images; the decoder goes by the content."""
_UNSUPPORTED_SUFFIXES = frozenset(
    (".jp2", ".j2k", ".jxl", ".svg", ".psd", ".ico", ".tga", ".exr", ".hdr", ".dng", ".cr2", ".cr3",
     ".nef", ".arw", ".orf", ".raf", ".rw2", ".eps")
)  # fmt: skip
"""Suffixes of unsupported images, which are reported rather than ignored."""
_OTHER_SUFFIXES = frozenset(
    (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".htm",
     ".ini", ".log", ".py", ".ipynb", ".pdf", ".zip", ".tar", ".gz", ".mat", ".npy", ".npz", ".h5",
     ".pkl", ".pt", ".pth", ".mp4", ".mov", ".avi", ".db")
)  # fmt: skip
"""Suffixes of other files, which need not be opened."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEAD_BYTES = 1024
"""Bytes at the start of a file that tell its type."""
_LEFTOVERS = frozenset(
    ("__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "@eadir", "@tmp",
     "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "$recycle.bin", "lost+found",
     "system volume information", "network trash folder", "temporary items", "icon\r")
)  # fmt: skip


def is_leftover(name: str) -> bool:
    """Return whether an operating system or a NAS left this file or folder behind."""
    return name.startswith("._") or name == ".DS_Store" or name.lower() in _LEFTOVERS


def is_system_file(name: str) -> bool:
    """Return whether a file or folder is hidden, or left behind by an operating system or a NAS."""
    return name.startswith(".") or is_leftover(name)


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix or, if that is unknown, its content."""
    by_suffix = is_image_name(path.name)
    if by_suffix is not None:
        return by_suffix
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return webp or head.startswith(_SIGNATURES) or is_heif(head) or is_avif(head)


def is_image_name(name: str) -> bool | None:
    """Return whether a file is an image, supported or not, by its suffix; None if it is unknown."""
    suffix = PurePath(name).suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in _UNSUPPORTED_SUFFIXES:
        return True
    return False if suffix in _OTHER_SUFFIXES else None


def unsupported_format(name: str) -> str:
    """Return the format of an unsupported image, such as ``JXL``; empty for a supported one."""
    suffix = PurePath(name).suffix.lower()
    return suffix[1:].upper() if suffix in _UNSUPPORTED_SUFFIXES else ""


def is_heif(content: bytes) -> bool:
    """Return whether a file is HEIC or HEIF, by the brands in its first box (ISO 23008-12)."""
    brands = _brands(content)
    return bool(brands & _HEIF_BRANDS) and not is_avif(content)


def is_avif(content: bytes) -> bool:
    """Return whether a file is AVIF, which shares the container with HEIF."""
    return bool(_brands(content) & _AVIF_BRANDS)


def _brands(content: bytes) -> set[bytes]:
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4]), _HEAD_BYTES)
    return {content[8:12], *(content[i : i + 4] for i in range(16, end, 4))}
