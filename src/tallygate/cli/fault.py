"""An operator's mistake: what ends a command with one line and an exit status."""

FAILED = 1
USAGE = 2
STORE_OR_SETTINGS = 3


class Fault(Exception):
    """The line for the operator, and the status to end with."""

    def __init__(self, line: str, status: int = FAILED) -> None:
        super().__init__(line)
        self.status = status
