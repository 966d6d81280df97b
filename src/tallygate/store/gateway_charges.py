"""What the gateway's requests cost: of each journal entry that names a cost, a charge.

The entry pins price and rate and says the cost, which the client was told: nothing is computed
here. Wallets are locked after counters and in the order of their ids, like everywhere.
"""

from collections.abc import Mapping, Sequence

from tallygate.core.charging import Source, State
from tallygate.core.entry import Charge, Entry
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)
from tallygate.core.wallet import Wallet
from tallygate.store import charge_ids, charge_rows, wallet_leases, wallets
from tallygate.store.charge_rows import Row
from tallygate.store.database import Tx


async def settle(
    tx: Tx, entries: Sequence[Entry], freed: Mapping[int, int], now_ms: int
) -> dict[str, int]:
    """Charge what these entries cost; `freed` is what is leased no longer, by wallet.

    Answers what each account spent. A wallet that is not there (a restored store may be older than
    it) cannot be charged; the usage row of its request says the cost all the same.
    """
    costs = [(entry, entry.charge) for entry in entries if entry.charge is not None]
    ids = {cost.wallet_id for _, cost in costs} | freed.keys()
    if not ids:
        return {}
    found = await wallets.lock_ids(tx, ids, now_ms)
    await wallet_leases.release(tx, {one: micros for one, micros in freed.items() if one in found})
    for wallet_id, micros in freed.items():
        if wallet_id in found:
            found[wallet_id].leased_micros -= micros
    costs = [(entry, cost) for entry, cost in costs if cost.wallet_id in found]
    spent: dict[str, int] = {}
    rows = []
    for id_, (entry, cost) in zip(await charge_ids.allocate(tx, len(costs)), costs, strict=True):
        paying = found[cost.wallet_id]
        paying.charge(cost.micros, now_ms, id_)
        rows.append(_row(id_, entry, cost, paying, now_ms))
        spent[paying.account_id] = spent.get(paying.account_id, 0) + cost.micros
    await wallets.write(tx, found.values(), beside=charge_rows.inserting(rows, []))
    return spent


def _row(id_: int, entry: Entry, cost: Charge, paying: Wallet, now_ms: int) -> Row:
    counts = entry.counts
    return Row(
        id=id_,
        tenant_id=paying.tenant_id,
        account_id=paying.account_id,
        wallet_id=paying.id,
        state=State.CHARGED.value,
        source=Source.GATEWAY.value,
        instance="",
        model=entry.model or entry.route,
        price_id=cost.price_id,
        rate_id=cost.rate_id or None,
        input_tokens=counts.get(INPUT_TOKENS, 0),
        output_tokens=counts.get(OUTPUT_TOKENS, 0),
        cache_read_tokens=counts.get(CACHE_READ_TOKENS, 0),
        cache_write_tokens=counts.get(CACHE_WRITE_TOKENS, 0),
        micros=cost.micros,
        output_micros=cost.output_micros,
        refunded_micros=0,
        balance_micros=paying.balance_micros,
        key_id=entry.key_id,
        request_id=entry.request_id,
        conversation_id="",
        message_id="",
        parts=None,
        reports=None,
        event_ms=entry.admitted_ms,
        at_ms=now_ms,
    )
