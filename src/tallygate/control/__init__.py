"""The HTTP API for operators and users: one file per resource."""
