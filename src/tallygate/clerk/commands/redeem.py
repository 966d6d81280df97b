"""Redeem codes: made in batches, shown once, good once.

Whatever keeps a code from being redeemed (unknown, used, expired, void) the answer is the same, so
that guessing teaches nothing; how often somebody may guess is the door's business.
"""

from tallygate.clerk.commands import wallet_change as change
from tallygate.clerk.commands.context import DAY_MS, Context, Handlers, bad
from tallygate.core.errors import Code, Refusal
from tallygate.core.money import MICROS_MAX
from tallygate.core.redeem import ENTROPY_BYTES, TYPED_LENGTH_MAX, hash_code, make_code
from tallygate.core.wallet import EntryKind, Lot, Wallet
from tallygate.core.wallet_commands import (
    BatchView,
    CreateBatch,
    RedeemCode,
    RedeemedView,
    VoidBatch,
)
from tallygate.store import holds
from tallygate.store import redeem as codes

CODES_MAX = 10_000
GRANT_DAYS_MAX = 36_500
NO_GOOD = "this code is not good: mistyped, used already, or its time is over"


async def create(context: Context, wanted: CreateBatch) -> BatchView:
    change.check_micros(wanted.micros)
    change.check_text(wanted.label, "label")
    if not 1 <= wanted.count <= CODES_MAX:
        raise bad(f"count must be from 1 to {CODES_MAX}", "count")
    if wanted.grant_days is not None and not 1 <= wanted.grant_days <= GRANT_DAYS_MAX:
        raise bad(f"grant_days must be from 1 to {GRANT_DAYS_MAX}", "grant_days")
    if wanted.expires_ms is not None and not context.now_ms < wanted.expires_ms <= MICROS_MAX:
        raise bad("expires_at must be a time to come", "expires_at")
    made = [make_code(context.entropy(ENTROPY_BYTES)) for _ in range(wanted.count)]
    batch_id = await codes.insert(
        context.tx,
        made,
        wanted.micros,
        label=wanted.label,
        expires_ms=wanted.expires_ms,
        grant_days=wanted.grant_days,
        actor=context.actor.name,
        now_ms=context.now_ms,
    )
    view = await _find(context, batch_id)
    await context.audit(wanted.NAME, f"redeem_batch:{batch_id}", None, view)
    view.codes = made
    return view


async def void(context: Context, wanted: VoidBatch) -> BatchView:
    before = await _find(context, wanted.batch_id)
    if not await codes.void(context.tx, before.id, context.now_ms):
        raise Refusal(Code.CONFLICT, "this batch is void already")
    after = await _find(context, before.id)
    await context.audit(wanted.NAME, f"redeem_batch:{before.id}", before, after)
    return after


async def redeem(context: Context, wanted: RedeemCode) -> RedeemedView:
    taken = None
    if len(wanted.code) <= TYPED_LENGTH_MAX:
        code_hash = hash_code(wanted.code)
        taken = await codes.take(context.tx, code_hash, wanted.account_id, context.now_ms)
    if taken is None:
        raise Refusal(Code.IMPOSSIBLE, NO_GOOD)
    batch_id, masked = taken
    batch = await _find(context, batch_id)
    wallet = await change.lock(context, wanted.account_id)
    await _give(context, wallet, batch, f"redeemed {masked}")
    told = {"batch_id": batch.id, "code": masked, "micros": batch.amount_micros}
    view = await change.write(context, wanted.NAME, wallet, told)
    return RedeemedView(
        account_id=wanted.account_id,
        batch_id=batch.id,
        amount_micros=batch.amount_micros,
        balance_micros=view.balance_micros,
    )


async def _give(context: Context, wallet: Wallet, batch: BatchView, reason: str) -> None:
    """Ordinary money, or a grant that ends."""
    micros, actor = batch.amount_micros, context.actor.name
    if batch.grant_days is None:
        wallet.credit(EntryKind.TOP_UP, micros, context.now_ms, reason=reason, actor=actor)
        return
    expires_ms = context.now_ms + batch.grant_days * DAY_MS
    grant_id = await holds.insert_grant(
        context.tx,
        wallet,
        micros,
        category="paid",
        priority=0,
        expires_ms=expires_ms,
        now_ms=context.now_ms,
    )
    wallet.grant(Lot(grant_id, 0, expires_ms, micros), context.now_ms, reason=reason, actor=actor)


async def _find(context: Context, batch_id: int) -> BatchView:
    found = await codes.find(context.tx, batch_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such batch")
    return found


HANDLERS: Handlers = {CreateBatch: create, VoidBatch: void, RedeemCode: redeem}
