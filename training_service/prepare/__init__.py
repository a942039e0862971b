"""Inputs -> what a fit and a judgement work on."""
