"""What owners of accounts are told: in each language, of each kind, with nothing left out."""

import re

import msgspec
import pytest

from tallygate.core.accounts import LANGUAGES
from tallygate.core.budget import low_balance, member_notice, reached_notice
from tallygate.core.notice_wording import KINDS, worded
from tallygate.core.wallet_commands import BudgetView
from tallygate.core.windows import Span

BUDGET = BudgetView(
    id=1,
    subject_kind="user",
    subject_id="ann",
    span="day",
    zone="UTC",
    amount_micros=2_000_000,
    window_s=0,
    spent_micros=1_500_000,
    told_percent=0,
    created_ms=0,
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_is_worded_in_every_language(language: str) -> None:
    """A language that lacks a text would show to those alone who speak it."""
    made = [low_balance("ann", -1, 5)]
    for span in Span:
        made.append(reached_notice(msgspec.structs.replace(BUDGET, span=span.value), 50))
    for told in list(made[1:]):
        of_team = msgspec.structs.replace(told, data={**told.data, "user_id": "ann"})
        made.append(member_notice(of_team, "the reds", "ann"))
    assert {one.kind for one in made} == set(KINDS)
    texts = []
    for one in made:
        said = worded(one.kind, msgspec.json.encode(one.data).decode(), language)
        assert said is not None
        assert not re.search(r"[{}]|ann|micros", " ".join(said))
        texts.append(said)
    assert len(set(texts)) == len(texts)
    assert "-0.000001" in texts[0][1] and "0.000005" in texts[0][1]
    assert "50" in texts[1][0] and "1.5" in texts[1][1]
    assert all("the reds" in text for text in texts[-1])


def test_what_is_no_business_of_the_owners_is_not_worded() -> None:
    assert worded("keeper.failed", "{}", "en") is None


def test_an_unknown_language_is_english() -> None:
    said = worded("wallet.low", '{"balance_micros":1000000,"warn_below_micros":2000000}', "tlh")
    assert said is not None and said[0] == "Your balance is low: 1 points"
