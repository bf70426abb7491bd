"""One picture of one sign, from bones to bytes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from handsigns.data.synthetic.film import develop, draw_camera
from handsigns.data.synthetic.flesh import build, cones
from handsigns.data.synthetic.light import Light, blurred, draw_light, lit, shifted
from handsigns.data.synthetic.scene import background, colour, skin
from handsigns.data.synthetic.skeleton import pose
from handsigns.data.synthetic.surface import FINER, Field, surface
from handsigns.data.synthetic.view import seen, view


def draw_picture(sign: int, rng: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """A picture of the sign, uint8 (size, size, 3); all chance comes from `rng`."""
    bones = pose(sign, rng)
    stand = view(bones, rng)
    hand = surface(seen(cones(bones, build(rng)), stand, FINER * size), size)
    light = draw_light(rng)
    cover = hand.cover[:, :, None]
    front = lit(hand, skin(rng, stand.palm), colour(rng, 0.9), light) * cover
    behind = background(rng, size) * _falling(hand.cover, light, rng)
    whole = front + (1 - cover) * behind
    # The camera measures the hand as much as the whole.
    metered = 0.5 * float(whole.mean()) + 0.5 * float(front.sum() / max(3 * cover.sum(), 1.0))
    return develop(whole, metered, draw_camera(rng), rng)


def _falling(cover: Field, light: Light, rng: np.random.Generator) -> Field:
    """The light that reaches what is behind a hand: float32 (S, S, 3), less in its shadow."""
    size = len(cover)
    away = math.exp(rng.uniform(math.log(0.015), math.log(0.3)))
    lx, ly, lz = light.towards
    shadow = shifted(cover, round(away * size * ly / lz), round(away * size * lx / lz))
    shadow = blurred(shadow, (0.6 + 16 * away) * size / 64)[:, :, None]
    near = blurred(cover, 3.0 * size / 64)[:, :, None]
    return light.sun * lz * (1 - shadow) + light.sky * (1 - 0.35 * near)
