"""Nouns: what a box, a record, a pool is. Imports nothing of Boxcar's other packages."""

__version__ = "0.1.0"
