"""Append-only segments: what was used, before the store knows of it."""
