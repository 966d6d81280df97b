"""The process of one role: `python -m tallygate.app ROLE …`, started by the supervisor only.

It imports its role, then waits for its brief, then runs. What keeps it from starting it tells the
supervisor in one line.
"""

import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.supervisor.handshake import Handshake, Orphaned, from_arguments
from tallygate.telemetry.logs import set_up_logs

# A role whose supervisor died has its drain time to end by itself, and this much more.
ORPHAN_GRACE_S = 2.0

# Keeper and clerk are siblings: the clerk starts a command, and knows no more of it.
KEEPER = (sys.executable, "-c", "from tallygate.cli import main; main()", "keeper", "refresh")

T = TypeVar("T")
Run = Callable[[dict[str, Any], Handshake], None]


def main(arguments: list[str]) -> int:
    handshake = from_arguments(arguments)
    try:
        run = ROLES[handshake.role]()
        brief = msgspec.msgpack.decode(handshake.brief())
        handshake.end_with_supervisor(brief["drain_timeout_s"] + ORPHAN_GRACE_S)
        set_up_logs(brief["log_level"], brief["log_format"])
        run(brief, handshake)
    except Orphaned:
        return 1
    except (StoreRefused, StoreUnavailable, OSError) as error:
        handshake.complain(str(error))
        return 1
    return 0


def _gateway() -> Run:
    from tallygate.gateway import worker
    from tallygate.gateway.options import Options

    def run(brief: dict[str, Any], handshake: Handshake) -> None:
        worker.run(fill(Options, brief), handshake.listener(), handshake)

    return run


def _clerk() -> Run:
    from tallygate.app import stores
    from tallygate.clerk import service
    from tallygate.clerk.options import Options

    def run(brief: dict[str, Any], handshake: Handshake) -> None:
        facts = fill(stores.Facts, brief)
        stores.prepare(facts, brief["master_key"])
        handshake.prepared()
        told = {
            **brief,
            "database_url": facts.location.url,
            "settings_provider": facts.provider,
            "keeper_command": KEEPER,
            "settings_app": facts.dify_app,
        }
        service.run(fill(Options, told), handshake.listener(), handshake)

    return run


def _control() -> Run:
    from tallygate.config import Settings
    from tallygate.control import service
    from tallygate.telemetry.exposition import render_inspection

    def run(brief: dict[str, Any], handshake: Handshake) -> None:
        secrets = service.Secrets(admin_token=brief["admin_token"], master_key=brief["master_key"])
        settings = Settings(**brief["settings"])
        fd = brief.get("metrics_fd")
        metrics = None if fd is None else socket.socket(fileno=fd)
        listener = handshake.listener()
        service.run(settings, secrets, listener, handshake, render_inspection, metrics)

    return run


def _prepare() -> Run:
    from tallygate.app import stores

    def run(brief: dict[str, Any], handshake: Handshake) -> None:
        stores.prepare(fill(stores.Facts, brief), brief["master_key"])
        handshake.ready()

    return run


def fill(kind: type[T], brief: dict[str, Any]) -> T:
    """The struct whose fields the brief names; what it does not name keeps its default."""
    fields = {field.name for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]  # T is a struct
    return kind(**{name: brief[name] for name in fields & brief.keys()})


# Each is imported in its own process only: a gateway must not load what opens a store.
ROLES: dict[str, Callable[[], Run]] = {
    "gateway": _gateway,
    "clerk": _clerk,
    "control": _control,
    "prepare": _prepare,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
