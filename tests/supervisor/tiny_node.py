"""A node of tiny roles under the real supervisor: `python -m tests.supervisor.tiny_node FOLDER`.

FOLDER/briefs.json holds what each role is told; it is read again before each life, so that a test
can change it. Prints `open PORT` when the doors are open.
"""

import json
import os
import sys
from pathlib import Path

import structlog

from tallygate.supervisor import folder, listeners
from tallygate.supervisor.child import Duty
from tallygate.supervisor.failure import Failure
from tallygate.supervisor.supervise import Supervisor

COMMAND = [sys.executable, "-m", "tests.supervisor.tiny_role"]


def main() -> int:
    data = Path(sys.argv[1])
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        run(data)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def run(data: Path) -> None:
    folder.open_folder(data)
    lock = folder.hold(data)
    roles_lock = folder.hold_roles(data, timeout_s=10)
    folder.clear_sockets(data)
    told = read(data)
    public = listeners.bind_public("127.0.0.1", told.get("port", 0), 2)
    clerk, control = (
        listeners.open_private(folder.place_socket(data, role)) for role in ("clerk", "control")
    )
    duties = [
        duty(data, "clerk", "clerk", clerk, is_exclusive=True),
        duty(data, "control", "control", control),
        *(duty(data, f"gateway-{slot}", "gateway", one) for slot, one in enumerate(public)),
    ]
    supervisor = Supervisor(
        duties,
        run_folder=data / "run",
        drain_timeout_s=told.get("drain_timeout_s", 5),
        inherited_fds=[roles_lock],
        log=structlog.get_logger(),
    )

    def open_doors() -> None:
        listeners.open_public(public)
        print("open", public[0].getsockname()[1], flush=True)

    supervisor.run(duty(data, "prepare", "prepare", None), open_doors, lambda: None)
    os.close(lock)


def read(data: Path) -> dict:
    return json.loads((data / "briefs.json").read_text())


def duty(data: Path, name: str, role: str, listener, *, is_exclusive: bool = False) -> Duty:
    def brief() -> bytes:
        told = read(data)
        return json.dumps({"line": name, **told.get("all", {}), **told.get(name, {})}).encode()

    return Duty(name, role, listener, COMMAND, os.environ.copy(), brief, is_exclusive=is_exclusive)


if __name__ == "__main__":
    sys.exit(main())
