"""Completion of learning curves that early stopping cut, learnt from the trials that went further.

For each later epoch the curves that have both are regressed on the last epoch of the cut one, as in
Baker et al., "Accelerating Neural Architecture Search using Performance Prediction", 2018, with a
single feature. Up to the next rung, trials are selected by what they had reached, which is the
regressor, so that the regression is not biased. Beyond it only promoted ones have later epochs,
and the noise of their ends hides the slope: a curve that is poorer than all of them stays as far
behind the poorest as it is. A regression from rung to rung made the targets of simulated plans less
accurate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MIN_PAIRS = 6
"""Number of curves with both epochs from which a line is fitted; fewer give its offset only."""


def complete_curve(curve: Array, others: Sequence[Array], num_epochs: int) -> Array:
    """Return a curve extended to its full length.

    A completed curve does not end worse than it was when it was cut.

    Args:
        curve: values on an unbounded scale on which lower is better, (epochs,).
        others: curves of other trials, at least one of `num_epochs`.
        num_epochs: number of epochs of a full curve.
    """
    last = len(curve)
    later = [
        _predict(curve[-1], np.array([(o[last - 1], o[epoch]) for o in others if len(o) > epoch]))
        for epoch in range(last, num_epochs)
    ]
    return np.concatenate([curve, np.minimum(later, curve[-1])])


def leave_one_out_error(curves: Sequence[Array], num_epochs: int) -> float | None:
    """Return the root-mean-square error of the last value of completed curves.

    Each full curve is cut where others were cut, and completed from the rest. None if none is cut,
    or too few are full.
    """
    cuts = sorted({len(curve) for curve in curves if len(curve) < num_epochs})
    errors = []
    for index, curve in enumerate(curves):
        others = [*curves[:index], *curves[index + 1 :]]
        if len(curve) == num_epochs and any(len(other) == num_epochs for other in others):
            for cut in cuts:
                completed = complete_curve(curve[:cut], others, num_epochs)
                errors.append(completed[-1] - curve[-1])
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else None


def _predict(value: float, pairs: Array) -> float:
    """Return the later value, from (earlier, later) values of other curves, (curves, 2)."""
    earlier, later = pairs.T
    offset, spread = later.mean() - earlier.mean(), earlier.var()
    if len(pairs) < MIN_PAIRS or spread == 0:
        return float(value + offset)
    slope = max(0.0, float(np.mean((earlier - earlier.mean()) * (later - later.mean())) / spread))
    # Beyond the poorest of the pairs, which survived early stopping, a curve is as far behind.
    within = min(value, earlier.max())
    return float(later.mean() + slope * (within - earlier.mean()) + value - within)
