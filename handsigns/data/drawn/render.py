"""Painting hands: many pictures at once, from back to front, out of distances to tapered capsules.

A distance field gives soft edges without oversampling and, from how deep a point lies, the
roundness that light falls on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from handsigns.data.drawn.pose import PALM, Pose
from handsigns.data.drawn.scene import Scene

Floats = npt.NDArray[Any]  # float32 throughout, which numpy's types do not follow
Point = tuple[Any, Any] | Floats
"""x and y: numbers for all pictures, or (B, 1, 1) for each."""

_MELT = 0.07
"""Over what length the palm's parts run into each other, in palm lengths."""
_FOREARM = ((0.0, 0.0), (0.0, -2.6), 0.245, 0.30)
_NAIL = np.array((0.97, 0.86, 0.84), np.float32)
_ORDER = (4, 3, 2, 1, 0)
"""Fingers from back to front: the thumb folds over the others."""


def render(poses: Sequence[Pose], scenes: Sequence[Scene], size: int) -> npt.NDArray[np.uint8]:
    """Paint B pictures: uint8 (B, size, size, 3)."""
    canvas = _Canvas(poses, scenes, size)
    canvas.cast_shadow(poses)
    canvas.paint_forearm()
    canvas.paint_palm()
    for finger in _ORDER:
        canvas.paint_finger(finger, poses)
    return _photograph(canvas.picture, scenes)


class _Canvas:
    """B pictures in the making.

    `x` and `y` (B, S, S) are each pixel's place in the coordinates of its hand; `soft` (B, 1, 1) is
    a pixel's width there, over which edges blend.
    """

    def __init__(self, poses: Sequence[Pose], scenes: Sequence[Scene], size: int) -> None:
        self.scenes = scenes
        steps = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
        px, py = steps[None, None, :], -steps[None, :, None]
        m = np.stack([pose.to_hand for pose in poses])[:, :, :, None, None]
        self.x = m[:, 0, 0] * px + m[:, 0, 1] * py + m[:, 0, 2]
        self.y = m[:, 1, 0] * px + m[:, 1, 1] * py + m[:, 1, 2]
        area = np.abs(m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0])
        self.soft = np.sqrt(area) * 2 / size
        self.picture = np.stack([scene.background for scene in scenes])
        self.hand = np.zeros_like(self.x)
        self.skin = self._each("skin")[:, None, None, :]
        self.ambient = self._each("ambient")[:, None, None]
        # Light comes from a direction in the picture; the hand's coordinates are turned to it.
        light = self._each("light")
        turned = np.einsum("bij,bj->bi", m[:, :, :2, 0, 0], light[:, :2])
        turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6)
        flat = np.linalg.norm(light[:, :2], axis=1, keepdims=True)
        self.light = (turned * flat)[:, :, None, None], light[:, 2, None, None]

    def _each(self, name: str) -> Floats:
        return np.array([getattr(scene, name) for scene in self.scenes], np.float32)

    def cast_shadow(self, poses: Sequence[Pose]) -> None:
        """Darken the background where the hand keeps the light away."""
        for i, (pose, scene) in enumerate(zip(poses, self.scenes, strict=True)):
            dark, dx, dy = scene.shadow
            # Looked up where the light comes from: the shadow of what is there falls here.
            away = pose.to_hand[:, :2] @ np.array((dx, dy), np.float32)
            outline = self._outline(self.x[i] - away[0], self.y[i] - away[1], pose)
            cover = np.clip(0.5 - outline / 0.18, 0, 1)
            self.picture[i] *= 1 - dark * cover[:, :, None]

    def _outline(self, x: Floats, y: Floats, pose: Pose) -> Floats:
        """Distance to the whole hand, roughly: bones as wide as they are on average."""
        starts = [(0.0, -2.0), (-0.15, 0.2), (0.15, 0.2), *pose.joints[:, 0]]
        ends = [(0.0, 0.2), (-0.2, 0.8), (0.2, 0.75), *pose.joints[:, 3]]
        widths = [0.26, 0.24, 0.24, *pose.radii.mean(1)]
        distances = [
            _distance(x, y, a, b, w, w)[0] for a, b, w in zip(starts, ends, widths, strict=True)
        ]
        return np.minimum.reduce(distances)

    def paint_forearm(self) -> None:
        """The forearm, and the sleeve from its edge on."""
        a, b, wide, wider = _FOREARM
        distance, nx, ny = _distance(self.x, self.y, a, b, wide, wider)
        self._cover(distance, self._lit(nx, ny)[..., None] * self.skin)
        edge = self._each("sleeve_edge")[:, None, None]
        cloth, nx, ny = _distance(self.x, self.y, a, b, wide + 0.07, wider + 0.12)
        cloth = np.maximum(cloth, self.y + edge + 0.04 * np.cos(self.x * 5))
        color = self._each("sleeve")[:, None, None, :]
        folds = 1 + 0.06 * np.sin(self.y * 17 + 5 * self.x)
        self._cover(cloth, (self._lit(nx, ny) * folds)[..., None] * color)

    def paint_palm(self) -> None:
        """The palm, with its creases where it is not the back that is seen."""
        distance: Floats | None = None
        for ax, ay, bx, by, ra, rb in PALM:
            part = _distance(self.x, self.y, (ax, ay), (bx, by), ra, rb)[0]
            distance = part if distance is None else _melted(distance, part)
        assert distance is not None
        depth = np.clip(-distance / 0.22, 0, 1)
        slope = (1 - depth) ** 2
        nx, ny = slope * np.clip(self.x * 2.2, -1, 1), slope * np.clip(self.y * 2 - 0.9, -1, 1)
        light = self._lit(nx * 0.9, ny * 0.9)
        palm_side = ~self._each("back").astype(bool)[:, None, None]
        for a, b in (((-0.36, 0.52), (0.2, 0.46)), ((-0.24, 0.7), (0.3, 0.6)),
                     ((-0.3, 0.56), (-0.06, 0.1))):  # fmt: skip
            crease = _distance(self.x, self.y, a, b, 0.0, 0.0)[0]
            light = light * (1 - 0.16 * palm_side * np.exp(-((crease / 0.035) ** 2)))
        self._cover(distance, light[..., None] * self.skin)

    def paint_finger(self, finger: int, poses: Sequence[Pose]) -> None:
        """A finger with its three segments, nail and the shadow it casts on what is behind."""
        joints = np.stack([pose.joints[finger] for pose in poses])[..., None, None]
        radii = np.stack([pose.radii[finger] for pose in poses])[..., None, None]
        raised = np.array([pose.raised[finger] for pose in poses])[:, None, None]
        distance = nx = ny = None
        for k in range(3):
            a, b = joints[:, k], joints[:, k + 1]
            ends = (a[:, 0], a[:, 1]), (b[:, 0], b[:, 1])
            part, px, py = _distance(self.x, self.y, *ends, radii[:, k], radii[:, k + 1])
            if distance is None or nx is None or ny is None:
                distance, nx, ny = part, px, py
            else:
                nearer = part < distance
                distance = np.where(nearer, part, distance)
                nx, ny = np.where(nearer, px, nx), np.where(nearer, py, ny)
        assert distance is not None
        assert nx is not None
        assert ny is not None
        contact = 1 - 0.42 * self.hand * np.exp(-np.maximum(distance, 0) / 0.045)
        self.picture *= contact[..., None]
        light = self._lit(nx, ny) * self._creased(joints, radii, raised)
        self._cover(distance, light[..., None] * self.skin)
        self._paint_nail(joints, radii, raised)

    def _creased(self, joints: Floats, radii: Floats, raised: Floats) -> Floats:
        """Darker lines across the two joints in the finger's length."""
        dark = np.ones_like(self.x)
        for k in (1, 2):
            axis = joints[:, k + 1] - joints[:, k - 1]
            axis = axis / np.maximum(np.sqrt((axis**2).sum(1, keepdims=True)), 1e-6)
            along = (self.x - joints[:, k, 0]) * axis[:, 0] + (self.y - joints[:, k, 1]) * axis[
                :, 1
            ]
            near = (self.x - joints[:, k, 0]) ** 2 + (self.y - joints[:, k, 1]) ** 2
            line = np.exp(-((along / 0.028) ** 2)) * (near < (1.3 * radii[:, k]) ** 2)
            dark -= 0.13 * raised * line
        return dark

    def _paint_nail(self, joints: Floats, radii: Floats, raised: Floats) -> None:
        tip, before = joints[:, 3], joints[:, 2]
        a = 0.72 * tip + 0.28 * before, 1.08 * tip - 0.08 * before
        wide = 0.52 * radii[:, 3]
        ends = (a[0][:, 0], a[0][:, 1]), (a[1][:, 0], a[1][:, 1])
        distance, nx, ny = _distance(self.x, self.y, *ends, wide, wide)
        seen = 0.55 * raised * self._each("back")[:, None, None]
        color = (0.55 * self.skin + 0.45 * _NAIL) * self._lit(0.5 * nx, 0.5 * ny)[..., None]
        alpha = seen * np.clip(0.5 - distance / self.soft, 0, 1)
        self.picture += alpha[..., None] * (color - self.picture)

    def _lit(self, nx: Floats, ny: Floats) -> Floats:
        """Brightness of a surface whose normal has these two components; 1 where it faces light."""
        nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0.0))
        flat, height = self.light
        facing = np.maximum(nx * flat[:, 0] + ny * flat[:, 1] + nz * height, 0)
        # Edges turn away from the viewer and lose light to the air around them.
        return (self.ambient + (1 - self.ambient) * facing) * (0.78 + 0.22 * nz)

    def _cover(self, distance: Floats, color: Floats) -> None:
        alpha = np.clip(0.5 - distance / self.soft, 0, 1)
        self.picture += alpha[..., None] * (color - self.picture)
        self.hand = np.maximum(self.hand, alpha)


def _distance(
    x: Floats, y: Floats, a: Point, b: Point, ra: Floats | float, rb: Floats | float
) -> tuple[Floats, Floats, Floats]:
    """Signed distance to a tapered capsule from a to b, and x and y of its surface's normal."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy + 1e-9  # no numpy on plain numbers: it would make them float64
    share = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / length, 0, 1)
    ox, oy = x - a[0] - share * dx, y - a[1] - share * dy
    away = np.sqrt(ox * ox + oy * oy)
    radius = ra + share * (rb - ra)
    inside = 1 / np.maximum(np.maximum(away, radius), 1e-6)
    return away - radius, ox * inside, oy * inside


def _melted(a: Floats, b: Floats) -> Floats:
    """The nearer of two distances, rounded where they meet (polynomial smooth minimum)."""
    share = np.clip(0.5 + 0.5 * (b - a) / _MELT, 0, 1)
    return b + share * (a - b) - _MELT * share * (1 - share)


def _photograph(picture: Floats, scenes: Sequence[Scene]) -> npt.NDArray[np.uint8]:
    """What a camera makes of it: blur, exposure, white balance, noise, and 8 bits."""
    share = np.array([scene.blur for scene in scenes], np.float32)[:, None, None, None]
    wide = np.pad(picture, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3
    soft = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 3
    picture = picture + share * (soft - picture)
    picture = picture * np.stack([scene.gain for scene in scenes])[:, None, None, :]
    picture = picture + np.stack([scene.noise for scene in scenes])
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
