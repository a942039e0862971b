"""Encoders: text to unit vectors, one vendor per module."""
