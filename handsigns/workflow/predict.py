"""Classify images with the winner of a search."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.winner.predict import Prediction, Winner


def load_winner(paths: SearchPaths, *, trust_user_code: bool = False) -> Winner:
    """Load the retrained model of a search.

    Args:
        paths: of the search.
        trust_user_code: whether a network of the user's may be run.

    Raises:
        ResultsError: there is none, it is damaged, or its code is not trusted.
    """
    from handsigns.winner.predict import load_winner as load

    return load(paths.winner, allow_own_code=trust_user_code)


def predict(winner: Winner, images: Iterable[Path]) -> list[Prediction]:
    """Classify image files of any size.

    Raises:
        DataError: lists every file that is no usable image.
    """
    from handsigns.winner.predict import predict as classify

    return classify(winner, list(images))
