"""Accounts, teams and members' keys: changes are whole and audited, and no row holds a secret."""

import asyncio

import pytest
import sqlalchemy as sa

from tallygate.core.account_commands import (
    AccountView,
    AddMember,
    CloseSessions,
    CreateOwnKey,
    CreateTeam,
    CreateUser,
    DeleteOwnKey,
    DeleteTeam,
    OpenSession,
    PatchTeam,
    PatchUser,
    RemoveMember,
    RotateOwnKey,
    SignInSubject,
    TeamView,
    TouchSession,
)
from tallygate.core.commands import Arguments, CreateKey, DeleteKey, KeyView, LimitSpec
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import hash_key
from tallygate.core.ports import Found, LookUp
from tallygate.store import accounts, audit, sessions, teams
from tallygate.store.money_schema import wallet
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, Worker

pytestmark = pytest.mark.anyio

FOREVER_MS = 1 << 50
HASH = "$argon2id$v=19$not-to-be-seen"


async def refused(node: Node, arguments: Arguments) -> Code:
    with pytest.raises(Refusal) as refusal:
        await node.command(arguments)
    return refusal.value.code


async def audited(node: Node) -> list[audit.AuditRow]:
    async with node.db.reading() as tx:
        return await audit.page(tx, limit=100)


async def sign_in(node: Node, account_id: str, cookie: bytes) -> AccountView:
    wanted = OpenSession(account_id=account_id, hash=hash_key(cookie), expires_ms=FOREVER_MS)
    return await node.command(wanted, into=AccountView)


async def is_signed_in(node: Node, cookie: bytes) -> bool:
    async with node.db.reading() as tx:
        found = await sessions.find(tx, hash_key(cookie), node.clerk.clock.now_ms(), 1 << 40)
    return found is not None


async def look_up(worker: Worker, secret: str) -> Found:
    count = sum(isinstance(message, Found) for message in worker.messages)
    worker.channel.send(LookUp(1, hash_key(secret.encode())))
    return await worker.hear(Found, count + 1)


async def test_an_account_is_made_with_its_wallet_or_not_at_all(any_node: Node) -> None:
    """An account without a wallet could be named by Dify and never be charged."""
    made = await any_node.command(
        CreateUser(id="u1", name="Ann", email="Ann@Example.com", password_hash=HASH),
        into=AccountView,
    )
    assert (made.id, made.email, made.role) == ("u1", "ann@example.com", "member")
    assert (made.is_active, made.has_password, made.has_subject) == (True, True, False)
    nameless = await any_node.command(CreateUser(), into=AccountView)
    assert nameless.id.startswith("usr_") and len(nameless.id) == 26
    for taken in (CreateUser(id="u1"), CreateUser(id="u2", email="ANN@example.com")):
        assert await refused(any_node, taken) is Code.CONFLICT
    async with any_node.db.reading() as tx:
        owners = set((await tx.execute(sa.select(wallet.c.account_id))).scalars())
    assert owners == {"u1", nameless.id}


async def test_two_who_make_the_same_account_at_once_make_one(any_node: Node) -> None:
    outcomes = await asyncio.gather(
        *(any_node.command(CreateUser(id="u1")) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Refusal) for outcome in outcomes) == 4
    assert [row.action for row in await audited(any_node)] == ["user.create"]


async def test_no_audit_row_holds_a_password_even_as_a_hash(node: Node) -> None:
    """The audit log is read by people who must not be able to guess passwords offline."""
    await node.command(CreateUser(id="u1", password_hash=HASH))
    await node.command(PatchUser(id="u1", password_hash=HASH + "2"))
    await sign_in(node, "u1", b"cookie")
    rows = await audited(node)
    assert [row.action for row in rows] == ["session.open", "user.set_password", "user.create"]
    assert rows[1].before["has_password"] and rows[2].after["has_password"]
    assert "argon2" not in str(rows) and hash_key(b"cookie").hex() not in str(rows)
    for one in (CreateUser(password_hash=HASH), PatchUser(id="u1", password_hash=HASH)):
        assert "argon2" not in repr(one)


@pytest.mark.parametrize(
    "bad",
    [
        CreateUser(id="a/b"),
        CreateUser(id=""),
        CreateUser(name="x" * 300),
        CreateUser(email="nobody"),
        CreateUser(role="emperor"),
        PatchUser(id="u1", email="nobody"),
        PatchUser(id="u1", role="emperor"),
        CreateTeam(name=" "),
        CreateTeam(name="t", id="a/b"),
        PatchTeam(id="t1", name=""),
    ],
    ids=repr,
)
async def test_bad_input_about_people_changes_nothing(node: Node, bad: Arguments) -> None:
    await node.command(CreateUser(id="u1"))
    await node.command(CreateTeam(id="t1", name="one"))
    assert await refused(node, bad) is Code.BAD_REQUEST
    assert len(await audited(node)) == 2


async def test_an_operator_reaches_members_only(node: Node) -> None:
    """Whoever sets an admin's password is an admin."""
    await node.command(CreateUser(id="boss", role="admin"))
    await node.command(CreateUser(id="u1", members_only=True))
    for beyond in (
        CreateUser(id="x", role="viewer", members_only=True),
        PatchUser(id="boss", password_hash=HASH, members_only=True),
        PatchUser(id="boss", email="me@example.com", members_only=True),
        PatchUser(id="boss", is_active=False, members_only=True),
        PatchUser(id="u1", role="operator", members_only=True),
    ):
        assert await refused(node, beyond) is Code.FORBIDDEN
    await node.command(PatchUser(id="u1", name="Ann", role="member", members_only=True))
    assert await refused(node, PatchUser(id="nobody", members_only=True)) is Code.NOT_FOUND


async def test_a_new_password_ends_every_session_but_the_one_that_set_it(any_node: Node) -> None:
    """Whoever changes a password because it leaked wants the thief out."""
    await any_node.command(CreateUser(id="u1", password_hash=HASH))
    await any_node.command(CreateUser(id="u2", password_hash=HASH))
    for account_id, cookie in (("u1", b"here"), ("u1", b"there"), ("u2", b"other")):
        await sign_in(any_node, account_id, cookie)
    await any_node.command(PatchUser(id="u1", name="Ann"))
    assert await is_signed_in(any_node, b"there")
    await any_node.command(PatchUser(id="u1", password_hash=HASH, keep_session=hash_key(b"here")))
    assert await is_signed_in(any_node, b"here")
    assert not await is_signed_in(any_node, b"there")
    await any_node.command(PatchUser(id="u1", password_hash=None))
    assert not await is_signed_in(any_node, b"here")
    assert await is_signed_in(any_node, b"other")


async def test_deactivating_ends_sessions_and_keys_at_once(any_node: Node) -> None:
    """A person who left must not go on spending for as long as a cache lives."""
    await any_node.command(CreateUser(id="u1"))
    key = await any_node.command(CreateKey(user_id="u1"), into=KeyView)
    await sign_in(any_node, "u1", b"cookie")
    worker = await any_node.worker(0)
    found = await look_up(worker, key.secret or "")
    assert found.key is not None and found.key.is_active
    await any_node.command(PatchUser(id="u1", is_active=False))
    await worker.hear_change("key", key.id)
    found = await look_up(worker, key.secret or "")
    assert found.key is not None and not found.key.is_active
    assert not await is_signed_in(any_node, b"cookie")
    signing_in = OpenSession(account_id="u1", hash=hash_key(b"again"), expires_ms=FOREVER_MS)
    assert await refused(any_node, signing_in) is Code.FORBIDDEN
    assert await refused(any_node, CreateOwnKey(account_id="u1")) is Code.FORBIDDEN
    await any_node.command(PatchUser(id="u1", is_active=True))
    found = await look_up(worker, key.secret or "")
    assert found.key is not None and found.key.is_active
    assert not await is_signed_in(any_node, b"cookie")


async def test_a_session_ends_by_its_hour_by_idleness_and_by_signing_out(any_node: Node) -> None:
    await any_node.command(CreateUser(id="u1"))
    await sign_in(any_node, "u1", b"a")
    await sign_in(any_node, "u1", b"b")
    now_ms = any_node.clerk.clock.now_ms()
    ending = OpenSession(account_id="u1", hash=hash_key(b"c"), expires_ms=now_ms + 60_000)
    await any_node.command(ending)
    await any_node.command(TouchSession(hash=hash_key(b"a")))
    async with any_node.db.reading() as tx:
        for cookie, at_ms, idle_ms, expected in (
            (b"c", now_ms + 59_000, 1 << 40, True),
            (b"c", now_ms + 60_000, 1 << 40, False),
            (b"a", now_ms + 5_000, 60_000, True),
            (b"a", now_ms + 120_000, 60_000, False),
            (b"unknown", now_ms, 1 << 40, False),
        ):
            found = await sessions.find(tx, hash_key(cookie), at_ms, idle_ms)
            assert (found is not None) is expected, (cookie, at_ms)
    assert await any_node.command(CloseSessions(account_id="u2", hash=hash_key(b"a"))) == {
        "closed": 0
    }
    assert await any_node.command(CloseSessions(account_id="u1", hash=hash_key(b"a"))) == {
        "closed": 1
    }
    assert not await is_signed_in(any_node, b"a") and await is_signed_in(any_node, b"b")
    assert await any_node.command(CloseSessions(account_id="u1")) == {"closed": 2}
    assert not await is_signed_in(any_node, b"b")
    await any_node.clerk.upkeep.tidy()


def subject(cookie: bytes, **changes: object) -> SignInSubject:
    values: dict[str, object] = {
        "state": hash_key(b"state" + cookie),
        "subject": "https://id.example.com sub-1",
        "name": "Ann",
        "email": "Ann@example.com",
        "role": None,
        "default_role": "member",
        "hash": hash_key(cookie),
        "expires_ms": FOREVER_MS,
    }
    return SignInSubject(**{**values, **changes})  # type: ignore[arg-type]  # fields by name


async def test_who_a_provider_vouches_for_gets_one_account(any_node: Node) -> None:
    """The second sign-in is the same person, whatever the provider says of name and address."""
    first = await any_node.command(subject(b"1"), into=AccountView)
    assert (first.email, first.role, first.has_subject) == ("ann@example.com", "member", True)
    again = await any_node.command(subject(b"2", email=None, name="Anne"), into=AccountView)
    assert again.id == first.id
    raised = await any_node.command(subject(b"3", role="operator"), into=AccountView)
    assert (raised.id, raised.role) == (first.id, "operator")
    assert await is_signed_in(any_node, b"3")
    await any_node.command(PatchUser(id=first.id, is_active=False))
    assert await refused(any_node, subject(b"4")) is Code.FORBIDDEN
    assert not await is_signed_in(any_node, b"4")


async def test_a_verified_address_finds_the_local_account_once(any_node: Node) -> None:
    """A second identity must not walk into an account by claiming its address."""
    await any_node.command(CreateUser(id="u1", email="ann@example.com", role="viewer"))
    linked = await any_node.command(subject(b"1"), into=AccountView)
    assert (linked.id, linked.role, linked.has_subject) == ("u1", "viewer", True)
    other = subject(b"2", subject="https://id.example.com sub-2")
    assert await refused(any_node, other) is Code.FORBIDDEN


async def test_a_state_counts_once(any_node: Node) -> None:
    """Otherwise whoever reads an address bar could sign in with what stands there."""
    await any_node.command(subject(b"1"))
    replayed = subject(b"2", state=hash_key(b"state" + b"1"))
    assert await refused(any_node, replayed) is Code.UNAUTHORIZED
    assert not await is_signed_in(any_node, b"2")


async def test_nobody_new_comes_in_where_no_role_is_meant_for_them(node: Node) -> None:
    assert await refused(node, subject(b"1", default_role=None)) is Code.FORBIDDEN
    made = await node.command(subject(b"2", default_role=None, role="viewer"), into=AccountView)
    assert made.role == "viewer"


async def test_teams_are_made_filled_and_taken_apart(any_node: Node) -> None:
    await any_node.command(CreateUser(id="u1", name="Ann"))
    team = await any_node.command(CreateTeam(name="Blue"), into=TeamView)
    assert team.id.startswith("team_")
    add = AddMember(team_id=team.id, account_id="u1")
    assert (await any_node.command(add, into=TeamView)).members == 1
    assert await refused(any_node, add) is Code.CONFLICT
    stranger = AddMember(team_id=team.id, account_id="nobody")
    assert await refused(any_node, stranger) is Code.NOT_FOUND
    renamed = await any_node.command(PatchTeam(id=team.id, name="Green"), into=TeamView)
    assert (renamed.name, renamed.members) == ("Green", 1)
    async with any_node.db.reading() as tx:
        assert await teams.members(tx, team.id) == [("u1", "Ann", None)]
        assert await teams.teams_of(tx, "u1") == [(team.id, "Green")]
    key = await any_node.command(CreateKey(team_id=team.id), into=KeyView)
    assert await refused(any_node, DeleteTeam(id=team.id)) is Code.CONFLICT
    await any_node.command(DeleteKey(key=str(key.id)))
    await any_node.command(DeleteTeam(id=team.id))
    remove = RemoveMember(team_id=team.id, account_id="u1")
    for gone in (PatchTeam(id=team.id, name="x"), remove, DeleteTeam(id=team.id)):
        assert await refused(any_node, gone) is Code.NOT_FOUND


async def test_a_member_leaves_a_team_once(node: Node) -> None:
    await node.command(CreateUser(id="u1"))
    await node.command(CreateTeam(id="t1", name="Blue"))
    assert await refused(node, CreateTeam(id="t1", name="Red")) is Code.CONFLICT
    await node.command(AddMember(team_id="t1", account_id="u1"))
    remove = RemoveMember(team_id="t1", account_id="u1")
    assert (await node.command(remove, into=TeamView)).members == 0
    assert await refused(node, remove) is Code.NOT_FOUND


async def test_a_members_key_is_no_stronger_than_an_ordinary_one(any_node: Node) -> None:
    await any_node.command(CreateUser(id="u1"))
    key = await any_node.command(CreateOwnKey(account_id="u1", label="mine"), into=KeyView)
    assert (key.user_id, key.daily_limit, key.scopes) == ("u1", 200, [])
    less = CreateOwnKey(account_id="u1", daily_limit=5, limits=[LimitSpec(amount=3, span="hour")])
    assert (await any_node.command(less, into=KeyView)).daily_limit == 5
    for bad in (201, 2**53, -1):
        wanted = CreateOwnKey(account_id="u1", daily_limit=bad)
        assert await refused(any_node, wanted) is Code.BAD_REQUEST
    assert await refused(any_node, CreateOwnKey(account_id="nobody")) is Code.FORBIDDEN


async def test_members_have_only_so_many_keys(make_node: MakeNode) -> None:
    node = await make_node(member_keys_max=2)
    await node.command(CreateUser(id="u1"))
    for _ in range(2):
        key = await node.command(CreateOwnKey(account_id="u1"), into=KeyView)
    assert await refused(node, CreateOwnKey(account_id="u1")) is Code.CONFLICT
    await node.command(DeleteOwnKey(account_id="u1", key=str(key.id)))
    await node.command(CreateOwnKey(account_id="u1"))


async def test_nobody_touches_somebody_elses_key(any_node: Node) -> None:
    """An id is easily guessed: whose it is decides."""
    await any_node.command(CreateUser(id="u1"))
    await any_node.command(CreateUser(id="u2"))
    key = await any_node.command(CreateOwnKey(account_id="u1"), into=KeyView)
    for name in (str(key.id), key.secret or ""):
        for theft in (
            RotateOwnKey(account_id="u2", key=name),
            DeleteOwnKey(account_id="u2", key=name),
        ):
            assert await refused(any_node, theft) is Code.NOT_FOUND
    rotated = await any_node.command(RotateOwnKey(account_id="u1", key=str(key.id)), into=KeyView)
    assert rotated.id == key.id and rotated.secret != key.secret
    await any_node.command(DeleteOwnKey(account_id="u1", key=str(key.id)))
    assert await refused(any_node, DeleteOwnKey(account_id="u1", key=str(key.id))) is Code.NOT_FOUND


async def test_accounts_are_listed_and_searched(any_node: Node) -> None:
    for number in range(5):
        await any_node.command(CreateUser(id=f"u{number}", name=f"Name_{number}"))
    await any_node.command(CreateUser(id="boss", role="admin", email="boss@example.com"))
    await any_node.command(PatchUser(id="u3", is_active=False))
    async with any_node.db.reading() as tx:
        found, total = await accounts.page(tx, limit=2, offset=4)
        assert ([one.id for one in found], total) == (["u4", "boss"], 6)
        found, total = await accounts.page(tx, limit=9, containing="NAME_1")
        assert ([one.id for one in found], total) == (["u1"], 1)
        assert (await accounts.page(tx, limit=9, containing="e%"))[1] == 0
        assert (await accounts.page(tx, limit=9, role="admin"))[1] == 1
        assert (await accounts.page(tx, limit=9, is_active=False))[1] == 1
        assert await accounts.names_of(tx, {"u1", "boss"}) == {"u1": "Name_1"}
