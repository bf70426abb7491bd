"""Confidence intervals of a share, which the reports use too."""

from __future__ import annotations

from handsigns.report.interval import METHOD, wilson_interval

__all__ = ["METHOD", "wilson_interval"]
