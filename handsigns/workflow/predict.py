"""Classify images with the winner of a search."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.workflow.next_step import ensure_winner

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.winner.predict import Predictions, Winner


def load_winner(paths: SearchPaths, *, trust_user_code: bool = False) -> Winner:
    """Load the retrained model of a search.

    Args:
        paths: of the search.
        trust_user_code: whether a network of the user's may be run.

    Raises:
        ResultsError: there is none, it is damaged, or its code is not trusted.
    """
    ensure_winner(paths)

    from handsigns.winner.predict import load_winner as load

    return load(paths.winner, allow_own_code=trust_user_code)


def predict(winner: Winner, sources: Iterable[Path]) -> Predictions:
    """Classify image files of any size, and all images in folders.

    Raises:
        DataError: a folder has no images.
    """
    from handsigns.winner.predict import predict as classify

    return classify(winner, sources)
