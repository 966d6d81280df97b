"""Correcting a charge: a better source says what was used, and the difference is an entry."""

from typing import Final

from tallygate.core.charging import Event
from tallygate.core.wallet import EntryKind, Wallet
from tallygate.store.charge_rows import Row

_CORRECTED: Final = (
    *("source", "model", "price_id", "rate_id", "input_tokens", "output_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "micros", "output_micros", "parts"),
)


def correct(row: Row, wanted: Row, event: Event) -> None:
    """The charge becomes what this event says; what was said before is remembered."""
    known = row.known
    row.report(known.reporter, known.told)
    for name in _CORRECTED:
        setattr(row, name, getattr(wanted, name))
    if event.reporter != event.source.value:
        row.report(event.reporter, event.told)


def take_difference(
    row: Row, before_micros: int, wallet: Wallet, event: Event, now_ms: int
) -> None:
    """Settle with the wallet what `before_micros` was too little or too much.

    What was used is owed, so what there is no money for becomes a debt. Nothing is given back
    twice: a refund counts as far as the charge still reaches.
    """
    row.refunded_micros = min(row.refunded_micros, row.micros)
    more_micros = row.micros - row.refunded_micros - before_micros
    reason = f"corrected by {event.source.value}"
    if more_micros > 0:
        wallet.charge(more_micros, now_ms, row.id, reason=reason)
    elif more_micros < 0:
        wallet.credit(EntryKind.ADJUST, -more_micros, now_ms, reason=reason, charge_id=row.id)
    row.balance_micros = wallet.balance_micros
