"""A credential's life is a table, and only proof condemns."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.credential import (
    LIVING,
    NEXT,
    Answer,
    NoAnswer,
    Outcome,
    Signal,
    State,
    after,
    is_worth_another,
    may_happen,
    pause_before,
)
from tallygate.core.credential_exchange import (
    Incomplete,
    host_for,
    host_of,
    judge,
    renewed,
    request_for,
    with_defaults,
)
from tallygate.core.credential_kind import BadKind, Kind, parse
from tallygate.kinds import load

KINDS = load(Path("nowhere")).usable
BAOMING, OAUTH2, OPENAI = KINDS["baoming"], KINDS["oauth2"], KINDS["openai-key"]

SOUND = {
    "name": "k",
    "probe": {
        "url": "https://h/x?{secret}",
        "valid": [{"status": ["2xx"]}],
        "invalid": [{"status": [401]}],
    },
}


def test_only_proof_leads_out_of_use() -> None:
    """From no living state does anything but proof, or somebody's wish, end a credential."""
    ending = {
        signal
        for (state, signal), then in NEXT.items()
        if state in LIVING and then in (State.QUARANTINED, State.DELETED)
    }
    assert ending == {Signal.PROVED_INVALID, Signal.DISCARDED}
    assert after(State.CHECKING, Signal.UNPROVEN) is State.SUSPECT


def test_what_was_proven_dead_is_used_again_only_if_somebody_says_so() -> None:
    """A run must never revive it by itself."""
    ways = {signal for (state, signal) in NEXT if state is State.QUARANTINED}
    back = {signal for signal in ways if after(State.QUARANTINED, signal) in LIVING}
    assert back == {Signal.RESTORED, Signal.GIVEN_ANEW}
    assert not any(may_happen(State.QUARANTINED, s) for s in (Signal.CHOSEN, Signal.CLAIMED))


def test_an_impossible_signal_is_a_bug() -> None:
    for state, signal in itertools.product(State, Signal):
        if (state, signal) not in NEXT:
            with pytest.raises(AssertionError, match=signal.value):
                after(state, signal)


statuses = st.integers(100, 599)
bodies = st.sampled_from(
    [b"", b"{not", b"[]", b'{"msg":"invalid access_token"}', b'{"error":"invalid_grant"}', b"\xff"]
) | st.binary(max_size=40)


@given(st.sampled_from(sorted(KINDS)), statuses, bodies)
def test_a_bad_day_never_condemns(name: str, status: int, body: bytes) -> None:
    """Whatever the body says, 429 and 5xx prove nothing, for every kind that is bundled."""
    kind = KINDS[name]
    for exchange in filter(None, (kind.probe, kind.refresh)):
        verdict = judge(exchange, Answer(status, body))
        if status == 429 or status >= 500:
            assert verdict.outcome is Outcome.UNPROVEN
        if verdict.outcome is Outcome.INVALID:
            assert 400 <= status < 500 or b"access_token" in body.lower()
        lost = judge(exchange, NoAnswer("reset", may_have_acted=True))
        assert lost.outcome is Outcome.UNPROVEN


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"code":0,"msg":"ok"}', Outcome.VALID),
        (201, b"[]", Outcome.VALID),
        (200, b'{"msg":"Invalid Access_Token: 12"}', Outcome.INVALID),
        (200, b'{"message":"invalid access_token"}', Outcome.INVALID),
        (403, b'{"error":"invalid access_token"}', Outcome.INVALID),
        (400, b'{"error":{"message":"invalid access_token"}}', Outcome.INVALID),
        (401, b"<html>", Outcome.INVALID),
        (401, b"{}", Outcome.INVALID),
        (200, b'{"data":"invalid access_token"}', Outcome.VALID),
        (200, b'{"msg":["invalid access_token"]}', Outcome.VALID),
        (200, b"invalid access_token", Outcome.UNPROVEN),
        (200, b"<html>", Outcome.UNPROVEN),
        (302, b"", Outcome.UNPROVEN),
        (403, b"{}", Outcome.UNPROVEN),
        (404, b'{"msg":"no"}', Outcome.UNPROVEN),
        (500, b'{"msg":"invalid access_token"}', Outcome.UNPROVEN),
    ],
)
def test_baoming_is_judged_as_its_tool_means_it(status: int, body: bytes, outcome: Outcome) -> None:
    assert BAOMING.probe is not None
    assert judge(BAOMING.probe, Answer(status, body)).outcome is outcome


def test_a_dead_grant_is_told_from_a_bad_client() -> None:
    """invalid_client is the operator's mistake: the refresh token may be as good as ever."""
    assert OAUTH2.refresh is not None
    for error, outcome in (
        ("invalid_grant", Outcome.INVALID),
        ("invalid_client", Outcome.UNPROVEN),
        ("invalid_request", Outcome.UNPROVEN),
    ):
        body = b'{"error":"%s"}' % error.encode()
        assert judge(OAUTH2.refresh, Answer(400, body)).outcome is outcome
    empty = Answer(200, b'{"access_token":""}')
    assert judge(OAUTH2.refresh, empty).outcome is Outcome.UNPROVEN


def test_a_spent_token_is_not_sent_twice_when_the_answer_was_lost() -> None:
    """The upstream may have taken it: a second use looks like theft and kills the whole grant."""
    lost, never_left = NoAnswer("reset", may_have_acted=True), NoAnswer("no", may_have_acted=False)
    assert not is_worth_another(lost, is_spending=True)
    assert is_worth_another(lost, is_spending=False)
    assert is_worth_another(never_left, is_spending=True)
    assert is_worth_another(Answer(503, b""), is_spending=True)
    assert not is_worth_another(Answer(400, b""), is_spending=True)


def test_pauses_are_one_and_two_seconds_unless_the_upstream_asks_for_longer() -> None:
    assert [pause_before(attempt, Answer(500, b""), 0.0) for attempt in (1, 2)] == [1.0, 2.0]
    assert pause_before(1, Answer(429, b"", 7.0), 0.0) == 7.0
    assert pause_before(1, Answer(429, b"", 86_400.0), 0.0) == 30.0
    assert 1.0 < pause_before(1, NoAnswer("x", may_have_acted=False), 1.0) <= 1.1


def test_the_secret_goes_where_the_kind_says_and_is_escaped_there() -> None:
    """A token with an ampersand must not become a second parameter, nor a path a host."""
    assert BAOMING.probe is not None
    request = request_for(BAOMING.probe, {"base_url": "https://h/api/"}, {"secret": "a&b=c/?"})
    assert request.url == "https://h/api/get_enroll_detail"
    assert request.query == [("access_token", "a&b=c/?")]
    in_path = parse({**SOUND, "probe": {**SOUND["probe"], "url": "https://h/{secret}/me"}})
    assert in_path.probe is not None
    assert request_for(in_path.probe, {}, {"secret": "../x?"}).url == "https://h/..%2Fx%3F/me"
    assert "a&b" not in repr(request)


def test_a_header_can_not_be_split_by_a_secret() -> None:
    assert OPENAI.probe is not None
    with pytest.raises(Incomplete):
        request_for(OPENAI.probe, {"base_url": "https://h"}, {"secret": "x\r\nhost: evil"})


def test_parts_that_are_not_there_are_left_out() -> None:
    """An empty client_secret is not the same as none for many servers."""
    assert OAUTH2.refresh is not None
    variables = with_defaults(OAUTH2, {"token_url": "https://h/token", "client_id": "me"})
    request = request_for(OAUTH2.refresh, variables, {"refresh_token": "r"})
    assert request.form == [
        ("grant_type", "refresh_token"),
        ("refresh_token", "r"),
        ("client_id", "me"),
    ]


def test_a_new_secret_is_taken_only_whole() -> None:
    answer = Answer(200, b'{"access_token":"a","refresh_token":null,"expires_in":60}')
    new = renewed(OAUTH2, answer)
    assert new is not None
    assert (new.parts, new.expires_in_s) == ({"access_token": "a"}, 60.0)
    assert renewed(OAUTH2, Answer(200, b'{"refresh_token":"r"}')) is None
    odd = renewed(OAUTH2, Answer(200, b'{"access_token":"a","expires_in":"soon"}'))
    assert odd is not None and odd.expires_in_s is None


@pytest.mark.parametrize(
    "url", ["", "s3cret", "ftp://s3cret/x", "http://", "https://s3cret:99999/", "http://[s3cret"]
)
def test_an_unknown_host_is_said_without_the_address(url: str) -> None:
    """An address may hold a password."""
    with pytest.raises(Incomplete) as said:
        host_of(url)
    assert "s3cret" not in str(said.value)


def test_hosts_are_named_with_their_ports() -> None:
    assert host_for(BAOMING, {"base_url": "https://Tool.example/api"}) == "tool.example:443"
    with pytest.raises(Incomplete, match="base_url"):
        host_for(BAOMING, {})


BROKEN = [
    ({}, "name"),
    ({"name": "k"}, "neither"),
    ({**SOUND, "name": "K!"}, "name"),
    ({**SOUND, "color": "red"}, "color"),
    ({"name": "k", "probe": {"url": "https://h", "invalid": [{"status": [401]}]}}, "valid"),
    ({"name": "k", "probe": {"url": "https://h", "valid": [{"status": [200]}]}}, "invalid"),
    ({**SOUND, "probe": {**SOUND["probe"], "valid": [{}]}}, "no condition"),
    ({**SOUND, "probe": {**SOUND["probe"], "valid": [{"status": ["9xx"]}]}}, "9xx"),
    ({**SOUND, "probe": {**SOUND["probe"], "valid": [{"status": [42]}]}}, "42"),
    ({**SOUND, "probe": {**SOUND["probe"], "valid": [{"fields": ["a"]}]}}, "fields"),
    ({**SOUND, "probe": {**SOUND["probe"], "valid": [{"contains": "a", "json": True}]}}, "fields"),
    ({**SOUND, "probe": {**SOUND["probe"], "url": "https://h/{who}"}}, "{who}"),
    ({**SOUND, "probe": {**SOUND["probe"], "url": "ftp://h/"}}, "http"),
    ({**SOUND, "probe": {**SOUND["probe"], "url": "https://{secret}.evil/"}}, "begin"),
    ({**SOUND, "probe": {**SOUND["probe"], "url": "{secret}/x"}}, "no variable"),
    ({**SOUND, "probe": {**SOUND["probe"], "method": "BREW"}}, "BREW"),
    ({**SOUND, "probe": {**SOUND["probe"], "timeout_s": 0}}, "timeout_s"),
    ({**SOUND, "probe": {**SOUND["probe"], "form": {"a": "b"}, "json": {"a": "b"}}}, "one body"),
    ({**SOUND, "refresh": {**SOUND["probe"], "takes": {"other": "x"}}}, "secret"),
    ({**SOUND, "variables": {"secret": {}}}, "both"),
]


@pytest.mark.parametrize(("document", "word"), BROKEN, ids=[word for _, word in BROKEN])
def test_a_broken_kind_is_named_in_one_line(document: dict[str, object], word: str) -> None:
    """A kind without a rule of proof would call everything well, or everything dead."""
    with pytest.raises(BadKind) as said:
        parse(document)
    assert word in str(said.value) and "\n" not in str(said.value)


def test_the_bundled_kinds_are_the_four_that_are_promised() -> None:
    assert set(KINDS) == {"baoming", "oauth2", "bearer-probe", "openai-key"}
    assert all(isinstance(kind, Kind) for kind in KINDS.values())
