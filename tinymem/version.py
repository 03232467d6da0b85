"""The version, in a module that imports nothing: setup.cfg reads it, and every results.json carries it."""

__version__ = "0.1.0"
