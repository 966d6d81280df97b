"""The command line: one module per group of commands; `root` puts them together."""

from tallygate.cli.root import main

__all__ = ["main"]
