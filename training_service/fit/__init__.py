"""Inputs -> the artefacts of a version."""
