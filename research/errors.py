"""Errors of the data plane's plain functions: what, which value, and the remedy."""


class ResearchError(ValueError):
    """Base of every error that a function of research raises on bad input."""
