"""What keeps a node from starting, as the one line that its operator reads."""

import errno
import os
from pathlib import Path


class Failure(Exception):
    """The node cannot start, or cannot go on. The text is one line for the operator."""


def of_folder(path: Path, error: OSError) -> Failure:
    """Why a file or a folder could not be made, and what to do about it."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    advice = {
        errno.ENOSPC: "free some space on its disk",
        errno.EDQUOT: "raise the quota of its disk",
        errno.EROFS: "choose a folder on a writable disk with TALLYGATE_DATA",
        errno.EACCES: "make it writable for this user or choose another folder with TALLYGATE_DATA",
        errno.EPERM: "make it writable for this user or choose another folder with TALLYGATE_DATA",
    }.get(error.errno or 0, "choose another folder with TALLYGATE_DATA")
    return Failure(f"{path} cannot be written ({reason}): {advice}")


def of_address(
    host: str, port: int, error: OSError, setting: str = "--port or TALLYGATE_PORT"
) -> Failure:
    """Why a port could not be opened."""
    if error.errno == errno.EADDRINUSE:
        return Failure(
            f"port {port} on {host} is in use by another program: "
            f"stop it or choose another with {setting}"
        )
    if error.errno == errno.EACCES:
        return Failure(
            f"port {port} on {host} needs more rights: choose one above 1023 with {setting}"
        )
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return Failure(f"{host}:{port} cannot be listened on ({reason}): check --host and --port")
