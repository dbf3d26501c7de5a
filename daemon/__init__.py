"""Scanseal: scans out of the hot folder, sealed, filed and proven."""

__version__ = "0.1.0"
