"""The data folder of a node: who holds it, who the node is, and the secrets that rest beside it.

Two locks: `node.lock` is the supervisor's own, `run/roles.lock` is inherited by every role. So a
second `serve` is refused at once, and the successor of a killed supervisor waits until the last of
its orphans has let go: two clerks must never write for one node.
"""

import base64
import contextlib
import os
import secrets
import socket
import tempfile
import time
import uuid
from pathlib import Path

import msgspec

from tallygate.core import master_key as master_keys
from tallygate.core.master_key import MASTER_KEY_BYTES
from tallygate.supervisor.failure import Failure, of_folder

# sun_path holds 104 bytes on macOS and 108 on Linux, its ending zero included.
SOCKET_PATH_BYTES_MAX = 103
SHORT_FOLDER_PREFIX = "tallygate-"
ORPHAN_POLL_S = 0.05


class Node(msgspec.Struct, frozen=True):
    """Who this node is in a store that it may share with others."""

    uuid: str
    name: str


def open_folder(data: Path) -> None:
    """Make the folder and what it holds; Failure if nothing can be written there."""
    try:
        for folder in (data, data / "run", data / "journal"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "run").chmod(0o700)
        probe = data / "run" / "writable"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise of_folder(data, error) from error


def hold(data: Path) -> int:
    """Lock the node; the lock lasts as long as the file descriptor."""
    import fcntl  # Windows has none; commands that hold nothing run there, too

    fd = _open_lock(data / "node.lock")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Failure(
            f"another tallygate serves {data}: stop it or choose another folder with TALLYGATE_DATA"
        ) from None
    return fd


def hold_roles(data: Path, timeout_s: float) -> int:
    """Lock what all roles inherit; waits for the roles of a supervisor that was killed."""
    import fcntl

    fd = _open_lock(data / "run" / "roles.lock")
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(fd)
                raise Failure(
                    f"roles of a killed tallygate still run on {data}: their pids are in run/*.pid"
                ) from None
            time.sleep(ORPHAN_POLL_S)
        else:
            return fd


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise of_folder(path, error) from error


def identify(data: Path) -> Node:
    """Read who this node is; made once, at the first start."""
    path = data / "node.json"
    made = Node(uuid=uuid.uuid4().hex, name=socket.gethostname() or "node")
    text = _read_or_make(path, msgspec.json.encode(made).decode())
    try:
        return msgspec.json.decode(text, type=Node)
    except msgspec.DecodeError as error:
        raise Failure(f"{path} is damaged ({error}): restore it from a backup") from error


def master_key(data: Path, setting: str | None, old: str | None = None) -> bytes:
    """The ring of keys that seal secrets (core/sealing.py); usually just one.

    The settings hold the current one and perhaps an old one; else `master.key`, made at the first
    start, and while `secrets rotate` is at work `master.key.old` or `master.key.next`.
    """
    if setting:
        return b"".join(master_keys.of_setting(one) for one in (setting, old) if one)
    made = base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode()
    ring = _key_in(data / "master.key", _read_or_make(data / "master.key", made))
    for name in ("master.key.next", "master.key.old"):
        if (path := data / name).is_file():
            ring += _key_in(path, path.read_text("ascii", "replace"))
    return ring


def _key_in(path: Path, text: str) -> bytes:
    key = master_keys.decoded(text)
    if key is None:
        raise Failure(f"{path} is damaged, it should hold 32 bytes as base64: restore it")
    return key


def begin_next_key(data: Path) -> bytes:
    """The key that is to come: known beside the current one, used by nobody yet."""
    path = data / "master.key.next"
    made = base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode()
    return _key_in(path, _read_or_make(path, made))


def turn_to_next_key(data: Path) -> None:
    """From now on the next key seals; the one before still opens. Killed in between, it is said
    again: either file that is missing then is what was moved already."""
    current, old, following = (data / f"master.key{end}" for end in ("", ".old", ".next"))
    if following.is_file():
        if not old.is_file():
            _write_whole(old, current.read_text("ascii").strip())
        following.replace(current)


def forget_old_key(data: Path) -> None:
    """Nothing is sealed with it any more."""
    (data / "master.key.old").unlink(missing_ok=True)


def admin_token(data: Path, setting: str | None) -> tuple[str, bool]:
    """The admin token, and whether it has just been made."""
    if setting:
        return setting, False
    return _secret_in(data / "admin-token", "a token")


def usage_secret(data: Path, setting: str | None) -> str:
    """What uses are reported with."""
    return setting or _secret_in(data / "usage-secret", "a secret")[0]


def _secret_in(path: Path, what: str) -> tuple[str, bool]:
    """What the file holds, and whether it has just been made."""
    made = secrets.token_urlsafe(32)
    kept = _read_or_make(path, made).strip()
    if not kept:
        raise Failure(f"{path} is empty: write {what} into it or delete it")
    return kept, kept == made


def _read_or_make(path: Path, content: str) -> str:
    """What the file says. A missing one appears whole or not at all, readable by its owner only."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be read: {error}") from error
    try:
        _write_whole(path, content)
    except OSError as error:
        raise of_folder(path, error) from error
    return content


def _write_whole(path: Path, content: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def place_socket(data: Path, role: str) -> Path:
    """Where a role's socket may be bound.

    That is `run/<role>.sock`. When this path is longer than a socket's address may be, the socket
    lives in a private folder for temporary files, and `run/<role>.sock` is a link to it, which
    `Settings.socket_path` follows.
    """
    path = data / "run" / f"{role}.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    short = Path(tempfile.mkdtemp(prefix=SHORT_FOLDER_PREFIX)) / f"{role}.sock"
    if len(os.fsencode(short)) > SOCKET_PATH_BYTES_MAX:
        raise Failure(f"{path} is too long for a socket: choose a shorter TALLYGATE_DATA")
    path.symlink_to(short)
    return short


def clear_sockets(data: Path) -> None:
    """Take away what `place_socket` made, also what a killed supervisor left behind."""
    for path in (data / "run").glob("*.sock"):
        target = path.readlink() if path.is_symlink() else path
        path.unlink(missing_ok=True)
        if target != path and target.parent.name.startswith(SHORT_FOLDER_PREFIX):
            with contextlib.suppress(OSError):  # it may have been tidied up with its folder
                target.unlink(missing_ok=True)
                target.parent.rmdir()
