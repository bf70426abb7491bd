"""Python API of handsigns: the same operations as the command line, from search to prediction.

All errors that a user can fix are `HandsignsError`s.
"""

from handsigns.api.data import check
from handsigns.api.plans import plan
from handsigns.api.reports import compare, report, suspects
from handsigns.api.searches import SearchResults, load_results, resume, search
from handsigns.api.trials import reevaluate, replay, retrain
from handsigns.api.winners import export, load_winner, predict, test

__all__ = [
    "SearchResults",
    "check",
    "compare",
    "export",
    "load_results",
    "load_winner",
    "plan",
    "predict",
    "reevaluate",
    "replay",
    "report",
    "resume",
    "retrain",
    "search",
    "suspects",
    "test",
]
