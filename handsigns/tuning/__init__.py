"""Executing: the only package that implements Ray Tune's interfaces."""
