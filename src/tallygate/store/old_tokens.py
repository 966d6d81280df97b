"""Taking over the tokens, teams and uses of the seed's token manager.

Tokens are known by their hashes only, so they go on working and can never be shown. What was taken
over is remembered, so that a repeated import adds only what is new: teams and tokens by name, uses
by the highest number that was seen of their database.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from tallygate.core.entry import Outcome
from tallygate.core.errors import Refusal
from tallygate.core.keys import Kind
from tallygate.core.token_takeover import OldTeam, OldToken, OldUse, TokenReport
from tallygate.core.usage import Source
from tallygate.store import keys, teams
from tallygate.store.database import Tx
from tallygate.store.schema import imported, key_secret, usage

SOURCE = "token-manager"
ALREADY_HERE = "a token that this store has already"
NO_LONGER_THERE = "a use of a token that is not there"
NAMES_MAX = 500


async def take_teams(tx: Tx, old: Sequence[OldTeam], report: TokenReport, now_ms: int) -> None:
    for team in old:
        if await _was_taken(tx, f"team:{team.id}"):
            report.known += 1
            continue
        try:
            await teams.insert(tx, team.id, team.name, team.created_ms or now_ms)
        except Refusal:
            report.skip("a team whose id is taken here")
            continue
        await _remember(tx, f"team:{team.id}", now_ms)
        report.teams += 1


async def take_tokens(tx: Tx, old: Sequence[OldToken], report: TokenReport, now_ms: int) -> None:
    for token in old:
        item = f"token:{token.token_hash}"
        if await _was_taken(tx, item):
            report.known += 1
            continue
        key_hash = bytes.fromhex(token.token_hash)
        query = sa.select(key_secret.c.key_id).where(key_secret.c.hash == key_hash)
        if await tx.scalar(query) is not None:
            report.skip(ALREADY_HERE)
            continue
        await _insert(tx, token, key_hash, now_ms)
        await _remember(tx, item, now_ms)
        report.keys += 1


async def take_uses(
    tx: Tx, origin: str, old: Sequence[OldUse], report: TokenReport, now_ms: int
) -> None:
    """Uses come by rising number; up to the highest one, all are known from then on."""
    if not old:
        return
    seen = await _seen_up_to(tx, origin)
    fresh = [use for use in old if use.id > seen]
    report.known += len(old) - len(fresh)
    key_ids = await _key_ids(tx, {use.token_hash for use in fresh})
    rows, last_used = [], dict[int, int]()
    for use in fresh:
        key_id = key_ids.get(use.token_hash)
        if key_id is None:
            report.skip(NO_LONGER_THERE)
            continue
        rows.append(_history(key_id, use))
        last_used[key_id] = max(last_used.get(key_id, 0), use.at_ms)
    await tx.insert_many(usage, rows)
    await keys.touch_last_used(tx, last_used)
    report.requests += len(rows)
    if fresh:
        await _remember(tx, f"uses:{origin}:{max(use.id for use in fresh)}", now_ms)


async def was_route_taken(tx: Tx, place: str) -> bool:
    return await _was_taken(tx, f"route:{place}")


async def remember_route(tx: Tx, place: str, now_ms: int) -> None:
    await _remember(tx, f"route:{place}", now_ms)


async def _insert(tx: Tx, token: OldToken, key_hash: bytes, now_ms: int) -> None:
    team_id = token.team_id
    if team_id and await teams.find(tx, team_id) is None:
        await teams.insert(tx, team_id, team_id, now_ms)
    key_id = await keys.insert_key(
        tx,
        kind=Kind.TOKEN.value,
        label=token.name,
        now_ms=now_ms,
        is_active=token.is_active,
        created_ms=token.created_ms or now_ms,
        expires_ms=token.expires_ms,
        team_id=team_id,
        models=[],
        scopes=token.scopes,
    )
    await keys.add_secret(
        tx,
        key_id,
        key_hash=key_hash,
        masked=f"#{token.token_hash[:8]}",
        sealed=None,
        now_ms=token.created_ms or now_ms,
    )
    if token.last_used_ms is not None:
        await keys.touch_last_used(tx, {key_id: token.last_used_ms})


async def _key_ids(tx: Tx, hashes: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    ordered = sorted(hashes)
    for start in range(0, len(ordered), NAMES_MAX):
        some = [bytes.fromhex(one) for one in ordered[start : start + NAMES_MAX]]
        query = sa.select(key_secret.c.hash, key_secret.c.key_id)
        for row in await tx.execute(query.where(key_secret.c.hash.in_(some))):
            found[bytes(row.hash).hex()] = row.key_id
    return found


def _history(key_id: int, use: OldUse) -> dict[str, object]:
    return {
        "tenant_id": 1,
        "request_id": f"import-{SOURCE}-{use.id}",
        "key_id": key_id,
        "user_id": "",
        "at_ms": use.at_ms,
        "duration_ms": use.duration_ms,
        "first_byte_ms": use.duration_ms,
        "route": use.route,
        "model": "",
        "provider": "",
        "status": use.status,
        "outcome": Outcome.OK.value,
        "source": Source.MISSING.value,
        "requests": 1,
        "input_tokens": 0,
        "output_tokens": 0,
        "counts": None,
        "address": use.address,
        "agent": use.agent,
        "bytes_in": 0,
        "bytes_out": 0,
        "charge_micros": 0,
    }


async def _seen_up_to(tx: Tx, origin: str) -> int:
    prefix = f"uses:{origin}:"
    query = sa.select(imported.c.item).where(
        imported.c.source == SOURCE, imported.c.item.startswith(prefix, autoescape=True)
    )
    found = (await tx.execute(query)).scalars()
    return max((int(item.removeprefix(prefix)) for item in found), default=0)


async def _was_taken(tx: Tx, item: str) -> bool:
    query = sa.select(imported.c.at_ms).where(imported.c.source == SOURCE, imported.c.item == item)
    return await tx.scalar(query) is not None


async def _remember(tx: Tx, item: str, now_ms: int) -> None:
    await tx.execute(sa.insert(imported).values(source=SOURCE, item=item, at_ms=now_ms))
