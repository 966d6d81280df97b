"""/api/credentials: the upstream credentials that the keeper looks after. A secret goes in, never
out."""

import contextlib
from collections.abc import Iterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.control.wallets import read_id
from tallygate.core.credential import State
from tallygate.core.credential_commands import (
    CheckCredential,
    CreateCredential,
    CredentialView,
    DeleteCredential,
    NewCredential,
    PatchCredential,
    RestoreCredential,
)
from tallygate.core.credential_intake import (
    BadCredential,
    check_name,
    check_variables,
    parts_of,
)
from tallygate.core.credential_kind import BadKind, Kind
from tallygate.core.errors import Code, Refusal
from tallygate.store import credentials

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]
Variables = Annotated[
    dict[str, Annotated[str, msgspec.Meta(max_length=4096)]], msgspec.Meta(max_length=50)
]


class NewOne(bodies.Body, kw_only=True):
    """`secret`: one line, or the text of a JSON object that names the parts of the secret."""

    kind: Name
    name: Name
    secret: Secret
    user: Short = ""
    pool: Short = ""
    variables: Variables = msgspec.field(default_factory=dict)


class CredentialChange(bodies.Body, kw_only=True):
    """What is not given stays as it is; with another secret the credential is fresh again."""

    name: Name | UnsetType = UNSET
    user: Short | UnsetType = UNSET
    pool: Name | UnsetType = UNSET
    variables: Variables | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET


class Credential(msgspec.Struct, kw_only=True):
    """`failures` counts checks in a row that proved nothing; `reason` is what the last one said."""

    id: str
    kind: str
    name: str
    user: str
    pool: str
    variables: dict[str, str]
    state: str
    reason: str
    failures: int
    expires_at: str | None
    last_used: str | None
    last_checked: str | None
    state_since: str | None
    created_at: str | None


class KindView(msgspec.Struct, kw_only=True):
    """A kind of credential. `problem`: why it can not be used."""

    name: str
    title: str
    variables: dict[str, str | None]  # each with its default
    parts: list[str]
    is_probed: bool
    is_refreshed: bool
    problem: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/credentials", tags=["credentials"])
    _reading(router, parts)
    _changing(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[Credential]))
    async def list_credentials(
        limit: str | None = None,
        cursor: str | None = None,
        state: str | None = None,
        kind: str | None = None,
    ) -> Response:
        """As they were made; deleted ones only with `state=deleted`."""
        if state is not None and state not in list(State):
            raise Refusal(
                Code.BAD_REQUEST, f"`state`: use one of {', '.join(State)}", param="state"
            )
        size, after_id = lists.read_limit(limit), lists.read_cursor(cursor) or 0
        async with parts.database.reading() as tx:
            found, total = await credentials.page(
                tx, limit=size + 1, after_id=after_id, state=state, kind=kind
            )
        items = [shown(view) for view in found[:size]]
        following = str(found[size - 1].id) if len(found) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.get("/kinds", **described(list[KindView]))
    async def list_kinds() -> Response:
        """What a credential can be: bundled kinds, and those of the data folder."""
        known = parts.kinds()
        found = [_kind_view(kind) for kind in known.usable.values()]
        found += [
            KindView(
                name=name,
                title="",
                variables={},
                parts=[],
                is_probed=False,
                is_refreshed=False,
                problem=problem,
            )
            for name, problem in known.broken.items()
        ]
        return bodies.answer(sorted(found, key=lambda one: one.name))

    @router.get("/{id}", **described(Credential))
    async def show_credential(id: str) -> Response:
        """One credential, without its secret."""
        async with parts.database.reading() as tx:
            return bodies.answer(shown(await credentials.get(tx, read_id(id))))


def _changing(router: APIRouter, parts: Parts) -> None:
    @router.post("", **described(Credential, status=201, body=NewOne))
    async def create_credential(request: Request) -> Response:
        """Take one in. Nobody is asked about it until a keeper runs, or a check is asked for."""
        body = await bodies.read(request, NewOne)
        kind = _kind(parts, body.kind)
        with _refusing():
            check_name(body.name)
            check_variables(kind, body.variables, is_complete=True)
            secret = parts_of(kind, body.secret)
        new = NewCredential(
            kind=kind.name,
            name=body.name,
            user=body.user,
            pool=body.pool,
            variables=body.variables,
            parts=secret,
            given=kind.given,
        )
        made = await order(parts.clerk, request, CreateCredential(new=new), CredentialView)
        return bodies.answer(shown(made), 201)

    @router.patch("/{id}", **described(Credential, body=CredentialChange))
    async def change_credential(request: Request, id: str) -> Response:
        """Change a credential, or give it another secret."""
        body = await bodies.read(request, CredentialChange)
        credential_id = read_id(id)
        async with parts.database.reading() as tx:
            before = await credentials.get(tx, credential_id)
        change = PatchCredential(id=credential_id, user=body.user, pool=body.pool, name=body.name)
        with _refusing():
            if body.name is not UNSET:
                check_name(body.name)
            if body.variables is not UNSET:
                check_variables(_kind(parts, before.kind), body.variables, is_complete=True)
                change.variables = body.variables
            if body.secret is not UNSET:
                kind = _kind(parts, before.kind)
                change.parts, change.given = parts_of(kind, body.secret), kind.given
        return bodies.answer(shown(await order(parts.clerk, request, change, CredentialView)))

    @router.delete("/{id}", **described(Credential))
    async def delete_credential(request: Request, id: str) -> Response:
        """Delete it; its secret is gone for good."""
        wanted = DeleteCredential(id=read_id(id))
        return bodies.answer(shown(await order(parts.clerk, request, wanted, CredentialView)))

    @router.post("/{id}/restore", **described(Credential))
    async def restore_credential(request: Request, id: str) -> Response:
        """Out of quarantine: it may be used again until a check says otherwise."""
        wanted = RestoreCredential(id=read_id(id))
        return bodies.answer(shown(await order(parts.clerk, request, wanted, CredentialView)))

    @router.post("/{id}/check", **described(Credential))
    async def check_credential(request: Request, id: str) -> Response:
        """Ask that it be checked soon; a running server starts a keeper within seconds."""
        wanted = CheckCredential(id=read_id(id))
        return bodies.answer(shown(await order(parts.clerk, request, wanted, CredentialView)))


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """What is wrong with what was handed in becomes the API's own refusal."""
    try:
        yield
    except BadCredential as error:
        raise Refusal(Code.BAD_REQUEST, str(error)) from error


def _kind(parts: Parts, name: str) -> Kind:
    try:
        return parts.kinds().find(name)
    except BadKind as error:
        raise Refusal(Code.BAD_REQUEST, str(error), param="kind") from error


def _kind_view(kind: Kind) -> KindView:
    return KindView(
        name=kind.name,
        title=kind.title,
        variables={name: one.default for name, one in kind.variables.items()},
        parts=sorted(kind.all_parts),
        is_probed=kind.probe is not None,
        is_refreshed=kind.refresh is not None,
        problem="",
    )


def shown(view: CredentialView) -> Credential:
    return Credential(
        id=str(view.id),
        kind=view.kind,
        name=view.name,
        user=view.user,
        pool=view.pool,
        variables=view.variables,
        state=view.state.value,
        reason=view.reason,
        failures=view.failures,
        expires_at=bodies.rfc3339(view.expires_ms),
        last_used=bodies.rfc3339(view.last_used_ms),
        last_checked=bodies.rfc3339(view.last_checked_ms),
        state_since=bodies.rfc3339(view.state_ms),
        created_at=bodies.rfc3339(view.created_ms),
    )
