"""What operators are told in Chinese says as much as what was written, and never less than that."""

import re

import msgspec
import pytest

from tallygate.core import credential_notices, edge_notices
from tallygate.core.budget import NewNotice, low_balance, reached_notice
from tallygate.core.operator_wording import KINDS, worded_for_operators
from tests.core.test_notice_wording import BUDGET

TEAM = msgspec.structs.replace(BUDGET, subject_kind="team", subject_id="red")
MADE = (
    credential_notices.died(7, "oauth2", "统一", "张三", "{odd} reason"),
    credential_notices.failing(3, 9, ["no answer", "HTTP 503"]),
    credential_notices.idle(1, 25 * 3_600_000),
    credential_notices.idle(None, 1),
    edge_notices.failing("answered 500", 4, 2),
    edge_notices.over_quota(1000, 6),
    low_balance("ann", 5_000_000, 10_000_000),
    reached_notice(BUDGET, 80),
    reached_notice(TEAM, 50),
)


def data_of(one: NewNotice) -> str:
    return msgspec.json.encode(one.data).decode()


@pytest.mark.parametrize("language", ["zh-CN", "zh-TW"])
def test_every_number_and_name_of_the_english_is_in_the_chinese(language: str) -> None:
    """A text that lost its numbers would be noticed by those alone who read it."""
    assert {one.kind for one in MADE} == set(KINDS)
    for one in MADE:
        said = worded_for_operators(one.kind, data_of(one), language)
        assert said is not None, one.kind
        for number in re.findall(r"[0-9.]*[0-9]", f"{one.title} {one.body}"):
            assert number in " ".join(said), (one.kind, number)
        for value in one.data.values():
            if isinstance(value, str) and value != "day" and value in f"{one.title} {one.body}":
                assert value in " ".join(said), (one.kind, value)
        assert all(re.search("[\u4e00-\u9fff]", part) for part in said)
    texts = {worded_for_operators(one.kind, data_of(one), language) for one in MADE}
    assert len(texts) == len(MADE)


def test_the_two_scripts_are_not_mixed() -> None:
    """Characters that only one of them has."""
    for one in MADE[1:]:
        simple = "".join(worded_for_operators(one.kind, data_of(one), "zh-CN") or ())
        complex_ = "".join(worded_for_operators(one.kind, data_of(one), "zh-TW") or ())
        assert not set("憑證檢個無時開與過這餘額預團邊緣權發項") & set(simple)
        assert not set("凭证检个无时开与过这余额预团边缘权发项") & set(complex_)


def test_english_and_what_nobody_has_worded_stay_as_they_were_written() -> None:
    died = MADE[0]
    assert worded_for_operators(died.kind, data_of(died), "en") is None
    assert worded_for_operators(died.kind, data_of(died), "") is None
    assert worded_for_operators("anomaly.volume", "{}", "zh-CN") is None
    assert worded_for_operators(died.kind, '{"id":1}', "zh-CN") is None, "of an older release"
