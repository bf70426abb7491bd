"""The version of this package, in a module of its own: light, and importable from anywhere."""

__version__ = "0.1.0"
