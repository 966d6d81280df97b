"""One gate for every token."""

__version__ = "0.1.0"
