"""nginx in its two parts here: the yardstick (a plain reverse proxy) and the fastest upstream.

Debian's package, run from a temporary folder with a configuration of our own; the distribution's
service is never started or enabled.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.load.ports import free_port, is_listening
from bench.load.processes import BenchFailed, Child, children_of
from bench.load.traffic import ANSWER, ANSWER_HEADERS
from tests.fakes.certificates import Certificates

NEEDED = ("nginx", "wrk")

PREAMBLE = """\
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
"""

UPSTREAM = """\
    server {{
        listen 127.0.0.1:{port}{tls} backlog=4096;
        {certificate}
        location / {{
            {headers}
            return 200 '{answer}';
        }}
    }}
}}
"""

PROXY = """\
    upstream behind {{
        server 127.0.0.1:{upstream};
        keepalive 32;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http{s}://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {extra}
        }}
    }}
}}
"""


FILES = """\
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        client_max_body_size 0;
        sendfile on;
        location /files/ {{ root {folder}; }}
        location /put {{ root {folder}; dav_methods PUT; }}
    }}
}}
"""


def install_if_missing() -> None:
    """As root, from the machine's own Debian mirror; otherwise say what to install."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchFailed(f"install {' and '.join(missing)} first (Debian packages of that name)")
    # Without this file's refusal, Debian's scripts would start nginx as a service.
    policy = Path("/usr/sbin/policy-rc.d")
    is_ours = not policy.exists()
    if is_ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        subprocess.run(["apt-get", "update", "-q"], check=True)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as error:
        raise BenchFailed(f"{' and '.join(missing)} could not be installed") from error
    finally:
        if is_ours:
            policy.unlink()


def version() -> str:
    run = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
    return run.stderr.strip().rpartition("/")[2]


@contextmanager
def upstream(
    folder: Path, workers: int, certificates: Certificates | None = None
) -> Iterator[tuple[Child, int]]:
    """An upstream that costs as little as possible: one fixed answer for whatever is asked."""
    headers = "\n            ".join(
        f"add_header {name} '{value}';" for name, value in ANSWER_HEADERS
    )
    certificate = ""
    if certificates is not None:
        certificate = (
            f"ssl_certificate {certificates.certificate}; "
            f"ssl_certificate_key {certificates.private_key};"
        )
    port = free_port()
    server = UPSTREAM.format(
        port=port,
        tls=" ssl" if certificates else "",
        certificate=certificate,
        headers=headers,
        answer=ANSWER,
    )
    with _running(folder, workers, server, port) as child:
        yield child, port


@contextmanager
def proxy(
    folder: Path,
    workers: int,
    upstream_port: int,
    certificates: Certificates | None = None,
    *,
    is_buffering: bool = True,
    more: Sequence[str] = (),
) -> Iterator[tuple[Child, int]]:
    """nginx as anyone would put it in front of an upstream, with connections kept alive."""
    extra = [*more] if is_buffering else ["proxy_buffering off;", *more]
    if certificates is not None:
        extra += [
            "proxy_ssl_verify on;",
            f"proxy_ssl_trusted_certificate {certificates.authority};",
            "proxy_ssl_name localhost;",  # nginx compares names only, no addresses
        ]
    port = free_port()
    server = PROXY.format(
        port=port,
        upstream=upstream_port,
        s="s" if certificates else "",
        extra="\n            ".join(extra),
    )
    with _running(folder, workers, server, port) as child:
        yield child, port


@contextmanager
def file_server(folder: Path, workers: int, size: int) -> Iterator[tuple[Child, int]]:
    """Gives a file of this size at /files/large, and takes one of any size at /put."""
    port = free_port()
    (folder / "files").mkdir(parents=True)
    with (folder / "files" / "large").open("wb") as file:
        file.truncate(size)
    with _running(folder, workers, FILES.format(port=port, folder=folder), port) as child:
        yield child, port


@contextmanager
def _running(folder: Path, workers: int, server: str, port: int) -> Iterator[Child]:
    folder.mkdir(exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    preamble = PREAMBLE.format(user=user, workers=workers, folder=folder)
    configuration.write_text(preamble + server)
    command = ["nginx", "-p", str(folder), "-c", str(configuration), "-e", str(folder / "start")]
    with Child(command, folder / "log", stop_signal=signal.SIGTERM) as child:
        # It listens before its workers are born, and a worker not counted would flatter nginx.
        child.wait_until(lambda: is_listening(port) and len(children_of(child.pid)) == workers)
        yield child
