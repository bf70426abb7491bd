"""User operations, one function each, shared by the command line and the Python API.

Modules here are cheap to import: heavy libraries are imported inside the functions.
"""
