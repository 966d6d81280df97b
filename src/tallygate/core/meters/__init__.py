"""Bytes in, usage out: one state machine per provider protocol."""
