"""Package version, in a separate module that is cheap to import from anywhere."""

__version__ = "0.2.0"
