"""Formulas of statistics, free of everything else."""
