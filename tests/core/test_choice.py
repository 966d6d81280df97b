"""Which provider answers for a model's name, in which order, and in which shares."""

from collections import Counter
from typing import Any

import pytest

from tallygate.core.choice import DEMO_MODEL, NAMES_REMEMBERED_MAX, Routes, WeightedTurns
from tallygate.core.provider import Protocol, Provider, Snapshot


def provider(name: str, **changes: Any) -> Provider:
    return Provider(name, changes.pop("protocol", Protocol.OPENAI), "http://p/v1", "s", **changes)


def found(
    model: str, *providers: Provider, protocol: Protocol = Protocol.OPENAI
) -> list[tuple[str, str]]:
    routes = Routes(Snapshot(1, providers))
    return [(one.name, name) for one, name in routes.candidates(model, protocol)]


def test_a_single_provider_is_sent_every_name_as_it_is() -> None:
    """Nobody should have to list models twice."""
    single = provider("deepseek", models=("deepseek-chat",), aliases={"fast": "deepseek-chat"})
    assert found("anything", single) == [("deepseek", "anything")]
    assert found("deepseek/x", single) == [("deepseek", "deepseek/x")]
    assert found("fast", single) == [("deepseek", "deepseek-chat")]


BOTH = (
    provider("a", models=("shared", "only-a"), aliases={"fast": "a-fast", "slow": "a-slow"}),
    provider("b", models=("shared", "only-b", "a/odd"), aliases={"fast": "b-fast"}, priority=-1),
)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("only-a", [("a", "only-a")]),
        ("shared", [("b", "shared"), ("a", "shared")]),
        ("a/shared", [("a", "shared")]),
        ("a/unlisted", [("a", "unlisted")]),
        ("a/fast", [("a", "a-fast")]),
        ("fast", [("b", "b-fast"), ("a", "a-fast")]),
        ("slow", [("a", "a-slow")]),
        ("unknown", []),
        ("c/shared", []),
        ("/shared", []),
        ("a/", [("a", "")]),
    ],
)
def test_with_several_a_name_goes_to_who_lists_it(
    model: str, expected: list[tuple[str, str]]
) -> None:
    assert found(model, *BOTH) == expected


def test_who_lists_nothing_is_asked_for_what_nobody_lists() -> None:
    """Its list could not be read; that does not make it useless."""
    silent = provider("silent")
    assert found("shared", *BOTH, silent)[-1] != ("silent", "shared")
    assert found("unknown", *BOTH, silent) == [("silent", "unknown")]


def test_only_who_speaks_the_protocol_is_a_candidate() -> None:
    claude = provider("claude", protocol=Protocol.ANTHROPIC, models=("shared",))
    assert found("shared", *BOTH, claude, protocol=Protocol.ANTHROPIC) == [("claude", "shared")]
    assert found("claude/shared", *BOTH, claude) == []
    assert found("x", claude) == []


def test_the_demo_answers_to_its_own_name_only() -> None:
    demo = provider("demo", is_demo=True)
    assert found(DEMO_MODEL, demo) == [("demo", DEMO_MODEL)]
    assert found("gpt-4", demo) == []


def test_no_more_names_are_remembered_than_there_is_room_for() -> None:
    """Names come from outside."""
    routes = Routes(Snapshot(1, (provider("a"),)))
    for number in range(NAMES_REMEMBERED_MAX + 9):
        routes.candidates(f"m{number}", Protocol.OPENAI)
    assert len(routes._known) <= NAMES_REMEMBERED_MAX


def test_every_listed_name_is_shown_once_with_its_first_provider() -> None:
    routes = Routes(Snapshot(1, BOTH))
    assert dict(routes.model_names())["shared"] == "b"
    names = [name for name, _ in routes.model_names()]
    assert names == sorted(set(names))
    assert {"fast", "only-a", "only-b"} < set(names)


def test_turns_are_shared_by_weight_and_evenly_in_time() -> None:
    """Not three in a row and then one: smooth."""
    turns = WeightedTurns()
    choices = [(provider("a", weight=3), "m"), (provider("b", weight=1), "m")]
    order = [turns.choose(choices) for _ in range(40)]
    assert Counter(order) == {0: 30, 1: 10}
    for start in range(0, 40, 4):
        assert order[start : start + 4].count(1) == 1


def test_a_weight_of_nothing_gets_no_turn_while_others_are_there() -> None:
    turns = WeightedTurns()
    choices = [(provider("a", weight=0), "m"), (provider("b", weight=2), "m")]
    assert Counter(turns.choose(choices) for _ in range(9)) == {1: 9}
    assert turns.choose(choices[:1]) == 0
