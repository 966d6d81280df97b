"""The control plane: the HTTP API that operators use, one file per resource.

Each request is authenticated here, whoever relayed it. What is only read comes straight from the
store; every change is a command that the clerk runs.
"""
