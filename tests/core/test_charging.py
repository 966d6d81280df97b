"""One event, many tellers: who is believed, who repeats, who contradicts.

The table is walked for every pair of sources, so that a rule about one pair does not break another.
"""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.charging import (
    RANK,
    Event,
    Known,
    Policy,
    Source,
    State,
    Told,
    Verdict,
    charge_id_of,
    consumption_id,
    judge_cost,
    judge_known,
    rank_of,
)
from tallygate.core.pricing import Cost

TELLERS = [Source(name) for name in RANK]
POLICY = Policy(charge_micros_max=1_000, may_overdraw=False)


def event(
    source: Source,
    tokens: int = 5,
    *,
    account: str = "ann",
    is_run: bool = False,
    is_estimated: bool = False,
) -> Event:
    return Event(
        source=source,
        instance="dify",
        aliases=(("message", "m"),),
        account_id=account,
        model="m",
        counts={"input_tokens": tokens, "output_tokens": 0},
        event_ms=0,
        is_run=is_run,
        is_estimated=is_estimated,
    )


def known(source: Source, tokens: int = 5, **changes: object) -> Known:
    values = {
        "id": 1,
        "state": State.CHARGED,
        "source": source,
        "told": Told("ann", "m", tokens, 0),
    }
    both = values | {"reports": {}, "micros": 9, "refunded_micros": 0} | changes
    return Known(**both)  # type: ignore[arg-type]  # the values are of their fields' types


@pytest.mark.parametrize("source", TELLERS)
def test_a_source_that_repeats_itself_is_answered_as_the_first_time(source: Source) -> None:
    """Senders deliver again whenever they have not heard our answer."""
    assert judge_known(event(source), known(source)) is Verdict.REPEAT


@pytest.mark.parametrize("source", TELLERS)
def test_a_source_that_contradicts_itself_is_refused(source: Source) -> None:
    """One of its two numbers is wrong, and money hangs on which."""
    assert judge_known(event(source, 6), known(source)) is Verdict.CONFLICT


@pytest.mark.parametrize(("first", "second"), itertools.permutations(TELLERS, 2))
def test_of_two_sources_the_better_one_is_believed(first: Source, second: Source) -> None:
    """In whichever order they come; who says the same as the charge changes nothing."""
    assert judge_known(event(second), known(first)) is Verdict.NOTE
    wanted = Verdict.ADJUST if RANK[second] > RANK[first] else Verdict.NOTE
    assert judge_known(event(second, 6), known(first)) is wanted


@pytest.mark.parametrize("source", TELLERS)
def test_no_money_moves_from_one_person_to_another(source: Source) -> None:
    assert judge_known(event(source, account="bob"), known(Source.BROWSER)) is Verdict.CONFLICT


def test_what_a_better_source_confirmed_stays() -> None:
    """Webhook and proxy agreed; tracing is better than the webhook, but not than the proxy."""
    agreed = known(Source.WEBHOOK, reports={"proxy": Told("ann", "m", 5, 0)})
    assert judge_known(event(Source.TRACING, 6), agreed) is Verdict.NOTE
    differed = known(Source.WEBHOOK, reports={"browser": Told("ann", "m", 9, 0)})
    assert judge_known(event(Source.TRACING, 6), differed) is Verdict.ADJUST


def test_who_was_overruled_may_repeat_itself_but_not_change_its_word() -> None:
    corrected = known(Source.PROXY, 7, reports={"webhook": Told("ann", "m", 5, 0)})
    assert judge_known(event(Source.WEBHOOK, 5), corrected) is Verdict.REPEAT
    assert judge_known(event(Source.WEBHOOK, 7), corrected) is Verdict.CONFLICT


def test_the_end_of_a_message_overrules_the_end_of_its_run_and_never_conflicts() -> None:
    """Dify sends both of one answer, in either order, and the run knows only a total."""
    by_run = known(Source.WEBHOOK, 5, reports={"webhook:run": Told("ann", "m", 5, 0)})
    assert by_run.reporter == "webhook:run"
    assert judge_known(event(Source.WEBHOOK, 6), by_run) is Verdict.ADJUST
    assert judge_known(event(Source.WEBHOOK, 5), by_run) is Verdict.NOTE
    assert judge_known(event(Source.WEBHOOK, 5, is_run=True), by_run) is Verdict.REPEAT
    assert judge_known(event(Source.WEBHOOK, 6, is_run=True), by_run) is Verdict.CONFLICT
    by_message = known(Source.WEBHOOK, 6)
    assert judge_known(event(Source.WEBHOOK, 5, is_run=True), by_message) is Verdict.NOTE
    assert judge_known(event(Source.WEBHOOK, 7), by_message) is Verdict.CONFLICT
    assert rank_of("webhook") > rank_of("webhook:run") > rank_of("browser")


def test_what_a_server_reports_is_believed_before_what_anybody_estimated() -> None:
    """Whatever the rank of who estimated; a browser's word is worth less than an estimate."""
    estimated = event(Source.PROXY, is_estimated=True)
    assert estimated.reporter == "proxy:estimated"
    by_estimate = known(Source.PROXY, reports={estimated.reporter: Told("ann", "m", 5, 0)})
    assert by_estimate.reporter == estimated.reporter
    for source in TELLERS:
        wanted = Verdict.NOTE if source is Source.BROWSER else Verdict.ADJUST
        assert judge_known(event(source, 6), by_estimate) is wanted
        assert judge_known(event(source, 5), by_estimate) is Verdict.NOTE
        against = judge_known(msgspec.structs.replace(estimated, counts={}), known(source))
        assert against is (Verdict.ADJUST if source is Source.BROWSER else Verdict.NOTE)
    assert judge_known(estimated, by_estimate) is Verdict.REPEAT
    assert judge_known(event(Source.WEBHOOK, 6, is_run=True), by_estimate) is Verdict.ADJUST
    again = event(Source.PROXY, 6, is_estimated=True)
    assert judge_known(again, by_estimate) is Verdict.CONFLICT


@pytest.mark.parametrize("source", TELLERS)
def test_what_was_unpaid_is_tried_again_by_whoever_says_the_same(source: Source) -> None:
    """There may be money now."""
    unpaid = known(Source.WEBHOOK, state=State.UNPAID)
    assert judge_known(event(source), unpaid) is Verdict.CHARGE


def test_size_is_looked_at_before_the_balance() -> None:
    """Whoever is poor must not be told that they are, for a charge that was a mistake."""
    assert judge_cost(Cost(1_001, 0), 0, 0, POLICY) is Verdict.REVIEW
    assert judge_cost(Cost(1_000, 0), 999, 0, POLICY) is Verdict.UNPAID
    assert judge_cost(Cost(1_000, 0), 1_000, 0, POLICY) is Verdict.CHARGE


def test_a_wallet_is_overdrawn_to_its_floor_and_only_if_that_is_the_rule() -> None:
    rule = Policy(charge_micros_max=1_000, may_overdraw=True)
    assert judge_cost(Cost(1_000, 0), 0, -1_000, rule) is Verdict.CHARGE
    assert judge_cost(Cost(1_000, 0), -1, -1_000, rule) is Verdict.UNPAID
    assert judge_cost(Cost(1_000, 0), 0, -1_000, POLICY) is Verdict.UNPAID


def test_what_costs_nothing_is_never_unpaid() -> None:
    """A debtor may still use what is free."""
    assert judge_cost(Cost(0, 0), -5, 0, POLICY) is Verdict.CHARGE


@given(st.integers(1, 10**18 - 1))
def test_a_charges_name_leads_back_to_it(charge_id: int) -> None:
    assert charge_id_of(consumption_id(charge_id)) == charge_id
    assert charge_id_of(str(charge_id)) == charge_id


@pytest.mark.parametrize("text", ["", "cons_", "cons_x", "-1", "cons_-1", "1.5", "９", "9" * 19])
def test_what_names_no_charge_names_none(text: str) -> None:
    assert charge_id_of(text) is None
