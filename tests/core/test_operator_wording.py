"""What operators are told in Chinese says as much as what was written, and never less than that."""

import re

import msgspec
import pytest

from tallygate.core import anomalies, credential_notices, edge_notices
from tallygate.core.anomalies import Kind, Throttle
from tallygate.core.anomaly_baseline import Unusual
from tallygate.core.anomaly_sources import NETWORK, Met, Woken
from tallygate.core.budget import NewNotice, low_balance, reached_notice
from tallygate.core.operator_wording import KINDS, worded_for_operators
from tests.core.test_notice_wording import BUDGET

TEAM = msgspec.structs.replace(BUDGET, subject_kind="team", subject_id="red")
HOUR = Unusual(
    expected=12.48, seen=1_234_567, uses=1_300_000, log10_chance=-14.2, score=9.0, record=3.0
)
MET = Met(key_id=12, day=1, address="203.0.113.9", agent="n8n/1.64", first_ms=5, last_ms=9, uses=2)
DAYS_MS = 86_400_000
VERDICTS = (
    anomalies.of_hour(Kind.VOLUME, 12, 3600, HOUR, 0),
    anomalies.of_hour(Kind.ERRORS, 12, 3600, HOUR, 0),
    anomalies.of_source(MET, NETWORK, "203.0.113.0/24", 0.001, ["198.51.100.0/24", "::1"]),
    anomalies.of_source(MET, "agent", "n8n", 0.001, ["curl"]),
    anomalies.of_waking(12, 5, Woken(90 * DAYS_MS, 7 * DAYS_MS, 40, -8.0)),
    anomalies.of_waking(12, 5, Woken(50 * DAYS_MS, 0, 0, None)),
)
TOLD = tuple(
    anomalies.notice(one, 3, label, None, throttle)
    for one in VERDICTS
    for label, throttle in (("Nightly reports", Throttle.OFF), ("", Throttle.STOP))
)
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
    *TOLD,
)
CODES = ("span", "throttle")  # worded, not repeated


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
        for name, value in one.data.items():
            is_said = isinstance(value, str) and value in f"{one.title} {one.body}"
            if is_said and name not in CODES and value not in set(Kind):
                assert value in " ".join(said), (one.kind, value)
        assert all(re.search("[\u4e00-\u9fff]", part) for part in said)
    texts = {worded_for_operators(one.kind, data_of(one), language) for one in MADE}
    assert len(texts) == len(MADE)


def test_the_two_scripts_are_not_mixed() -> None:
    """Characters that only one of them has."""
    for one in MADE[1:]:
        simple = "".join(worded_for_operators(one.kind, data_of(one), "zh-CN") or ())
        complex_ = "".join(worded_for_operators(one.kind, data_of(one), "zh-TW") or ())
        assert not set("憑證檢個無時開與過這餘額預團邊緣權發項鑰網遠來認") & set(simple)
        assert not set("凭证检个无时开与过这余额预团边缘权发项钥网远来认") & set(complex_)


def test_english_and_what_nobody_has_worded_stay_as_they_were_written() -> None:
    died = MADE[0]
    assert worded_for_operators(died.kind, data_of(died), "en") is None
    assert worded_for_operators(died.kind, data_of(died), "") is None
    assert worded_for_operators("of.tomorrow", "{}", "zh-CN") is None
    before = '{"anomaly_id":1,"key_id":2,"kind":"volume","throttle":"off"}'
    assert worded_for_operators("anomaly.volume", before, "zh-CN") is None, "of an older release"
    assert worded_for_operators(died.kind, '{"id":1}', "zh-CN") is None, "of an older release"


def test_an_anomaly_is_told_with_the_parts_of_its_sentence() -> None:
    """For programs, and for whoever words it in another language."""
    hour, _, network, agent, again, first = (one.data for one in TOLD[::2])
    assert hour == {
        "anomaly_id": 3,
        "key_id": 12,
        "key_label": "Nightly reports",
        "kind": "volume",
        "what": "uses_in_hour",
        "throttle": "off",
        "expected": 12.48,
        "seen": 1_234_567,
        "uses": 1_300_000,
        "log10_chance": -14.2,
    }
    assert network["usual_sources"] == ["198.51.100.0/24", "::1"]
    assert (network["what"], agent["what"]) == ("new_network", "new_agent")
    assert (again["quiet_days"], again["longest_quiet_days"], again["what"]) == (
        90,
        7,
        "used_again",
    )
    assert (first["quiet_days"], first["what"]) == (50, "first_use")
    nameless = anomalies.notice(
        anomalies.of_source(MET, "agent", "", 0.001, []), 3, "", None, Throttle.SLOW
    )
    said = worded_for_operators(nameless.kind, data_of(nameless), "zh-CN")
    assert said == (
        "密钥 12 被陌生来源使用",
        "出现了该密钥从未用过的客户端：无。平时：无。在确认之前，该密钥已被限速。",
    )
