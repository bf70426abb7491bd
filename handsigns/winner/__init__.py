"""The winner: retrained, tested once, ready to classify."""

from handsigns.host import passive_waiting

with passive_waiting():
    import torch  # noqa: F401  # before any module of this package, which train on all CPUs, does
