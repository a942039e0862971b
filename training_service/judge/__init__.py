"""Outcomes -> scores -> verdict."""
