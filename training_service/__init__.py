"""Feedback becomes a better semantic matcher, shipped as one verified version."""

__version__ = "0.1.0"
