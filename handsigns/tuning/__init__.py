"""Execution of searches: the only package that implements Ray Tune's interfaces."""
