"""The winner of a search: its model, test, prediction, export and serving."""

from handsigns.host import passive_omp_wait

with passive_omp_wait():
    import torch  # noqa: F401  # before other modules import it: they run on all CPUs
