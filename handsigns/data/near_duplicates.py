"""Near-duplicates: re-encoded, moved or cropped copies, bursts and neighbouring film frames.

Two images are near-duplicates if one, shifted, scaled and turned by a little and with its
brightness and contrast adapted, has the details of the other. Candidates come from all pairs, by
the distance of an image to the plane of the other's small transformations (Simard et al.,
"Efficient Pattern Recognition Using a New Transformation Distance", NIPS 1992), which is a matrix
product. They are verified by aligning them (Lucas & Kanade, "An Iterative Image Registration
Technique", IJCAI 1981) and correlating their details: what remains without the local mean, which
photographs of one hand before one wall share whatever the hand does.

The thresholds are measured (docs/explanation/evidence.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from handsigns.data.alignment import align, tangent_planes
from handsigns.io.digest import digest

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_COARSE, _FINE = 16, 32
"""Widths in pixels at which candidates are found, and verified."""
_MIN_PROJECTION = 0.965
"""Cosine between an image and the other's plane of transformations, for a candidate."""
_MIN_COARSE, _MIN_FINE = 0.9, 0.96
"""Correlation of the details of an aligned pair, at both widths, for near-duplicates."""
_MIN_CONTRAST = 2.0
"""Standard deviation, in grey levels, of an image that has something to compare."""
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_ROWS, _COLUMNS = 256, 1024
"""Images per block of the matrix product; smaller ones are slower, larger ones need memory."""
_BATCH = 512
"""Pairs, and images of 64 pixels, processed at a time; fewer of larger images."""


def image_digests(images: Iterable[Pixels]) -> list[str]:
    """Return the digest of each image's pixels."""
    return [digest(image.tobytes()) for image in images]


def find_groups(
    images: Sequence[Pixels], keys: Sequence[str | None] = (), num_seen: int | None = None
) -> Indices:
    """Return the group (N,) of each image: that of all its near-duplicates, and theirs.

    Args:
        images: N images, uint8 (H, H, 3).
        keys: names of groups to which the images belong in any case; None: none.
        num_seen: number of images, the first ones, whose groups depend on no later image: of train
            and val, which must not depend on the test split.

    Returns:
        The index of the group's first image; an image without near-duplicates has its own.
    """
    if not len(images):
        return np.empty(0, np.int64)
    count, seen = len(images), len(images) if num_seen is None else num_seen
    search = _Search(images, list(keys) or [None] * count)
    search.compare(0, seen)
    labels = search.groups.labels()
    if seen < count:
        search.compare(seen, count)
        labels[seen:] = search.groups.labels()[seen:]
    return labels


class _Search:
    """Search for groups in a sequence of images, part by part."""

    def __init__(self, images: Sequence[Pixels], keys: Sequence[str | None]) -> None:
        self.groups = _Groups(len(images))
        self._keys = keys
        self._digests = image_digests(images)
        self._known: dict[tuple[str, str], int] = {}
        known = {key: index for index, key in reversed(list(enumerate(self._digests)))}
        distinct = np.array(sorted(known.values()), np.int64)
        contrast = np.empty(len(distinct), np.float32)
        coarse = np.empty((len(distinct), _COARSE, _COARSE), np.float32)
        for part, luminance in _luminance(images, distinct):
            contrast[part] = _resample(luminance, _FINE).std(axis=(1, 2))
            coarse[part] = _resample(luminance, _COARSE)
        textured = contrast >= _MIN_CONTRAST
        self._images = images
        self._distinct, self._coarse = distinct[textured], coarse[textured]

    def compare(self, start: int, stop: int) -> None:
        """Compare these images with each other, and with all before them."""
        for index in range(start, stop):
            for kind, key in (("pixels", self._digests[index]), ("name", self._keys[index])):
                if key is not None:
                    self.groups.merge(self._known.setdefault((kind, key), index), index)
        first, last = np.searchsorted(self._distinct, (start, stop))
        for pairs in _candidates(self._coarse[:last], int(first)):
            self._merge_verified(pairs)

    def _merge_verified(self, pairs: Indices) -> None:
        """Merge the groups of those candidates (P, 2) that are near-duplicates."""
        while len(pairs):
            # Most candidates of a large group are connected already by the first batches.
            labels = self.groups.labels()[self._distinct]
            pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
            for first, second in self._distinct[self._verified(pairs[:_BATCH])].tolist():
                self.groups.merge(first, second)
            pairs = pairs[_BATCH:]

    def _verified(self, pairs: Indices) -> Indices:
        """Return those of the pairs (P, 2) that are near-duplicates."""
        first, second = pairs.T
        motion = np.zeros((len(pairs), 4), np.float32)
        correlations, motion = align(self._coarse[first], self._coarse[second], motion)
        pairs, motion = pairs[correlations >= _MIN_COARSE], motion[correlations >= _MIN_COARSE]
        chosen, positions = np.unique(pairs, return_inverse=True)
        fine = np.empty((len(chosen), _FINE, _FINE), np.float32)
        for part, luminance in _luminance(self._images, self._distinct[chosen]):
            fine[part] = _resample(luminance, _FINE)
        first, second = positions.reshape(pairs.shape).T
        correlations, _ = align(fine[first], fine[second], motion)
        return pairs[correlations >= _MIN_FINE]


class _Groups:
    """Disjoint sets of indices, each labelled by its smallest."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count)

    def merge(self, first: int, second: int) -> None:
        """Merge the sets of two indices."""
        low, high = sorted((self._root(first), self._root(second)))
        self._parents[high] = low

    def labels(self) -> Indices:
        """Return the label (N,) of each index."""
        while True:
            parents = self._parents[self._parents]
            if np.array_equal(parents, self._parents):
                return parents
            self._parents = parents

    def _root(self, index: int) -> int:
        while self._parents[index] != index:
            index = int(self._parents[index])
        return index


def _luminance(images: Sequence[Pixels], chosen: Indices) -> Iterator[tuple[slice, Floats]]:
    """Yield the luminance (B, H, H) of the chosen images in batches, each with its positions."""
    batch_size = max(1, _BATCH * 64**2 // len(images[0]) ** 2)
    for start in range(0, len(chosen), batch_size):
        part = slice(start, start + batch_size)
        yield part, np.stack([images[i] for i in chosen[part]]).astype(np.float32) @ _LUMINANCE


def _resample(luminance: Floats, width: int) -> Floats:
    """Return thumbnails (B, width, width), averaged and blurred."""
    matrix = _resampling_matrix(luminance.shape[1], width)
    return np.asarray(matrix @ luminance @ matrix.T, np.float32)


def _resampling_matrix(size: int, width: int) -> Floats:
    """Return the matrix (width, size) that averages over the area of each pixel, and blurs."""
    edges = np.linspace(0, size, width + 1)[:, None]
    overlap = np.minimum(edges[1:], np.arange(1, size + 1)) - np.maximum(edges[:-1], range(size))
    mean = np.maximum(overlap, 0) * width / size
    padded = np.concatenate([mean[:1], mean, mean[-1:]])
    return np.asarray((padded[:-2] + 2 * mean + padded[2:]) / 4, np.float32)


def _candidates(images: Floats, start: int) -> Iterator[Indices]:
    """Yield pairs (P, 2) of similar images, the second from `start` on, most similar first."""
    if not len(images):
        return
    flat = images.reshape(len(images), -1)
    units = np.ascontiguousarray(_unit(flat - flat.mean(1, keepdims=True)).T)
    for row in range(0, len(images), _ROWS):
        planes = _unit(tangent_planes(images[row : row + _ROWS]))
        bases = np.linalg.qr(planes.transpose(0, 2, 1))[0].transpose(0, 2, 1)
        block = np.ascontiguousarray(bases, np.float32)
        pairs, similarities = [], []
        for column in range(max(row, start), len(images), _COLUMNS):
            product = block.reshape(-1, len(units)) @ units[:, column : column + _COLUMNS]
            np.square(product, out=product)
            projection = product.reshape(*block.shape[:2], -1).sum(1)
            first, second = np.nonzero(projection > _MIN_PROJECTION**2)
            above = first + row < second + column
            pairs.append(np.stack([first + row, second + column], 1)[above])
            similarities.append(projection[first, second][above])
        if not pairs:
            continue
        order = np.argsort(-np.concatenate(similarities), kind="stable")
        yield np.concatenate(pairs)[order]


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-6), np.float32)
