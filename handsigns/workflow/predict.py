"""Classification of images with the winner of a search."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.workflow.next_step import ensure_winner

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.winner.predict import PredictionBatch, Winner


def load_winner(paths: SearchPaths, *, trust_user_code: bool = False) -> Winner:
    """Load the retrained model of a search.

    Args:
        paths: paths of the search.
        trust_user_code: whether a user-defined network may be run.

    Raises:
        ResultsError: there is none, it is damaged, or its code is not trusted.
    """
    ensure_winner(paths)

    from handsigns.winner.predict import load_winner as load

    return load(paths.winner, trust_user_code=trust_user_code)


def predict(winner: Winner, paths: Iterable[Path]) -> PredictionBatch:
    """Classify image files of any size, and all images in folders.

    Raises:
        DataError: a folder has no images.
    """
    from handsigns.winner.predict import predict as classify

    return classify(winner, paths)
