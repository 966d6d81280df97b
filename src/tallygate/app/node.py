"""`tallygate serve`: from settings to a running node, and the one line that says why not."""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tallygate import config
from tallygate.app import briefs
from tallygate.clock import system_ms
from tallygate.config import BadSettings, Settings
from tallygate.supervisor import folder, listeners
from tallygate.supervisor.child import Duty
from tallygate.supervisor.failure import Failure
from tallygate.supervisor.supervise import Supervisor
from tallygate.telemetry.late import LateLogger

ROLES = ("clerk", "control", "gateway")
ORPHANS_GRACE_S = 5.0  # beyond the drain time, for roles whose supervisor was killed
COMMAND = (sys.executable, "-m", "tallygate.app")
# A rolling restart takes new settings, but not these: sockets and the folder are held already.
_FIXED = ("data", "host", "port", "workers", "metrics_port")

Say = Callable[[str], None]


def serve(
    overrides: Mapping[str, Any], roles: Collection[str], *, announce: Say, complain: Say
) -> int:
    """Serve until told to stop; the exit status. `complain` gets one line for what is wrong."""
    try:
        settings, warnings = config.load(**overrides)
        for warning in warnings:
            complain(f"warning: {warning}")
        if unknown := set(roles) - set(ROLES):
            raise Failure(f"--roles: {sorted(unknown)[0]} is not one of {', '.join(ROLES)}")
        _Node(briefs.absolute(settings), overrides, roles, announce).run()
    except (BadSettings, Failure) as failure:
        complain(str(failure))
        return 1
    return 0


class _Node:
    """What the supervisor's process holds for as long as it runs."""

    def __init__(
        self, settings: Settings, overrides: Mapping[str, Any], roles: Collection[str], say: Say
    ) -> None:
        self._settings = settings
        self._overrides = overrides
        self._roles = {"clerk", *roles}  # the others can do nothing without their clerk
        self._announce = say
        self._boots: dict[int, int] = {}
        self._log = LateLogger("supervisor", settings.log_level, settings.log_format)

    def run(self) -> None:
        data = self._settings.data
        folder.open_folder(data)
        lock = folder.hold(data)
        patience_s = self._settings.drain_timeout_s + ORPHANS_GRACE_S
        roles_lock = folder.hold_roles(data, patience_s)
        try:
            folder.clear_sockets(data)
            self._identity = folder.identify(data)
            self._read_secrets()
            self._serve([roles_lock])
        finally:
            folder.clear_sockets(data)
            os.close(roles_lock)
            os.close(lock)

    def _read_secrets(self) -> None:
        settings = self._settings
        self._master_key = folder.master_key(
            settings.data, _secret(settings.master_key), _secret(settings.master_key_old)
        )
        self._admin_token, self._is_new_token = folder.admin_token(
            settings.data, _secret(settings.admin_token)
        )
        self._usage_secret = folder.usage_secret(settings.data, _secret(settings.usage_secret))

    def _serve(self, inherited_fds: list[int]) -> None:
        duties = self._open_sockets()
        supervisor = Supervisor(
            duties,
            run_folder=self._settings.run_folder,
            drain_timeout_s=self._settings.drain_timeout_s,
            inherited_fds=inherited_fds,
            log=self._log,
        )
        prepare = self._duty("prepare", "prepare", None)
        supervisor.run(prepare, self._open_doors, self._reload)

    def _open_sockets(self) -> list[Duty]:
        settings = self._settings
        self._public = []
        self._metrics = None
        if "control" in self._roles and settings.metrics_port:
            self._metrics = listeners.open_metrics(settings.host, settings.metrics_port)
        if "gateway" in self._roles:
            workers = _count_workers(settings)
            self._public = listeners.bind_public(settings.host, settings.port, workers)
        duties = []
        for role in ("clerk", "control"):
            if role in self._roles:
                opened = listeners.open_private(folder.place_socket(settings.data, role))
                duties.append(self._duty(role, role, opened))
        for slot, opened in enumerate(self._public):
            duties.append(self._duty(f"gateway-{slot}", "gateway", opened, slot))
        return duties

    def _duty(self, name: str, role: str, listener: Any, slot: int = 0) -> Duty:
        return Duty(
            name=name,
            role=role,
            listener=listener,
            command=COMMAND,
            environ=_environ(),
            brief=lambda: self._brief(role, slot),
            metrics=self._metrics if role == "control" else None,
            is_exclusive=role == "clerk",
        )

    def _brief(self, role: str, slot: int) -> bytes:
        told = briefs.of_node(
            self._settings,
            self._identity,
            master_key=self._master_key,
            admin_token=self._admin_token,
            usage_secret=self._usage_secret,
        )
        if role == "gateway":
            journals = self._settings.journal_folder
            boot = briefs.next_boot(journals, slot, system_ms(), self._boots.get(slot, 0))
            self._boots[slot] = boot
            told = briefs.for_gateway(told, slot=slot, boot=boot, port=self._port)
        elif role == "control" and self._metrics:
            told["metrics_fd"] = self._metrics.fileno()
        return msgspec.msgpack.encode(told)

    @property
    def _port(self) -> int:
        return int(self._public[0].getsockname()[1])

    def _open_doors(self) -> None:
        if self._public:
            listeners.open_public(self._public)
            self._announce(f"Tallygate serves {_url(self._settings.host, self._port)}")
        else:
            self._announce(f"Tallygate runs {', '.join(sorted(self._roles))}, no public port")
        if self._is_new_token:
            kept_in = self._settings.data / "admin-token"
            self._announce(f"Admin token, kept in {kept_in}: {self._admin_token}")

    def _reload(self) -> None:
        """Read the settings again for the next lives of the roles."""
        try:
            read, warnings = config.load(**self._overrides)
        except BadSettings as error:
            raise Failure(str(error)) from error
        for warning in warnings:
            self._log.warning(warning)
        fixed = {field: getattr(self._settings, field) for field in _FIXED}
        self._settings = read.model_copy(update=fixed)
        self._read_secrets()
        self._log.set_up(read.log_level, read.log_format)


def _secret(setting: Any) -> str | None:
    return setting.get_secret_value() if setting else None


def _environ() -> dict[str, str]:
    names = (name for field in Settings.model_fields for name in config.names_of(field))
    return briefs.without_settings(os.environ, names)


def _count_workers(settings: Settings) -> int:
    cores = os.cpu_count() or 1
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    try:
        quota = Path("/sys/fs/cgroup/cpu.max").read_text("ascii")
    except OSError:
        quota = ""
    return briefs.count_workers(settings.workers, cores, quota)


def _url(host: str, port: int) -> str:
    """What to open in a browser; an address that stands for all of them is this machine's."""
    shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{port}"
