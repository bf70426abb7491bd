"""What a user can ask for: one function each, shared by the command line and the Python API.

Modules here are cheap to import; a function imports the libraries it needs when it is called.
"""
