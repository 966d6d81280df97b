"""tallygate verify: walk the contract against a running server, with a throw-away key.

The key is deleted whatever happens; nothing of other keys is touched.
"""

import http.client
from collections.abc import Callable, Iterator
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tallygate import config
from tallygate.cli import options, output
from tallygate.cli.contract_walk import (
    STEPS,
    Unmet,
    Walk,
    a_key_is_made,
    is_healthy,
    the_key_is_deleted,
)
from tallygate.cli.failures import FAILED, USAGE, Fault, as_faults
from tallygate.config import Settings


def verify(
    url: Annotated[
        str | None, typer.Option(help="The server; this machine's if not given.")
    ] = None,
    admin_token: Annotated[
        str | None, typer.Option(help="ADMIN_TOKEN or data/admin-token if not given.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model to chat with; the first listed.")] = "",
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Walk the contract against a running server with a throw-away key; status 1 on failures."""
    with as_faults():
        settings, _ = config.load(data=data)
        where = (url or f"http://127.0.0.1:{settings.port}").rstrip("/")
        if urlsplit(where).scheme not in ("http", "https") or not urlsplit(where).hostname:
            raise Fault("--url: use a URL like http://127.0.0.1:8787", USAGE)
        if dry_run:
            _print_plan(where, as_json)
            return
        walk = Walk(where, admin_token or _token_of(settings), model)
    verdicts = []
    for name, problem in _take(walk):
        verdicts.append({"step": name, "ok": not problem, "problem": problem})
        if not as_json:
            output.print_line(f"{'fail' if problem else 'ok':4}  {name}")
            if problem:
                output.print_line(f"      {problem}")
    failed = sum(not one["ok"] for one in verdicts)
    if as_json:
        output.print_json({"url": where, "ok": not failed, "steps": verdicts})
    else:
        output.print_line(f"{len(verdicts) - failed} of {len(STEPS)} steps are as they should be")
    if failed:
        raise typer.Exit(FAILED)


def _take(walk: Walk) -> Iterator[tuple[str, str]]:
    """Step by step; one that fails ends the walk when the following ones need it."""
    is_deleted = False
    try:
        for name, step in STEPS:
            problem = _problem_of(step, walk)
            yield name, problem
            if problem and step in (is_healthy, a_key_is_made):
                return
            is_deleted = is_deleted or (step is the_key_is_deleted and not problem)
    finally:
        if walk.key and not is_deleted:
            _problem_of(the_key_is_deleted, walk)


def _problem_of(step: Callable[[Walk], None], walk: Walk) -> str:
    try:
        step(walk)
    except Unmet as unmet:
        return str(unmet)
    except (OSError, http.client.HTTPException) as error:
        return f"{walk.url} does not answer: {error}"
    return ""


def _print_plan(where: str, as_json: bool) -> None:
    names = [name for name, _ in STEPS]
    if as_json:
        output.print_json({"url": where, "dry_run": True, "steps": names})
        return
    for name in names:
        output.print_line(f"would check  {name}")
    output.print_line(f"{len(names)} steps against {where}; nothing was sent")


def _token_of(settings: Settings) -> str:
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    try:
        return (settings.data / "admin-token").read_text("utf-8").strip()
    except OSError:
        raise Fault("no admin token: give --admin-token or set ADMIN_TOKEN", USAGE) from None
