"""A circuit opens for who keeps failing, lets one trial through, and closes on a success."""

from tallygate.core.breaker import FAILURES_TO_OPEN, PAUSE_MS, PAUSE_MS_MAX, Breaker


def opened(now_ms: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(now_ms)
    return breaker


def test_a_few_failures_are_nothing_yet() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(0)
    assert breaker.is_closed
    assert breaker.admits(0)


def test_failures_count_only_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN * 3):
        breaker.failed(0)
        breaker.succeeded()
    assert breaker.is_closed


def test_an_open_circuit_admits_one_trial_after_its_pause() -> None:
    """A crowd at the door of who has just come back would throw it down again."""
    breaker = opened(1_000)
    assert not breaker.is_closed
    assert not breaker.admits(1_000 + PAUSE_MS - 1)
    assert breaker.admits(1_000 + PAUSE_MS)
    breaker.trial_begins(1_000 + PAUSE_MS)
    assert not breaker.admits(1_000 + PAUSE_MS)


def test_a_trial_that_never_ends_is_followed_by_another() -> None:
    """Its client may have left; nobody else would ever be let through."""
    breaker = opened()
    breaker.trial_begins(PAUSE_MS)
    assert not breaker.admits(PAUSE_MS * 2 - 1)
    assert breaker.admits(PAUSE_MS * 2)


def test_each_failed_trial_doubles_the_pause_to_a_bound() -> None:
    breaker, now_ms, pauses = opened(), 0, []
    for _ in range(8):
        pauses.append(breaker.open_until_ms - now_ms)
        now_ms = breaker.open_until_ms
        assert breaker.admits(now_ms)
        breaker.trial_begins(now_ms)
        breaker.failed(now_ms)
    assert pauses[:4] == [PAUSE_MS, PAUSE_MS * 2, PAUSE_MS * 4, PAUSE_MS * 8]
    assert pauses[-1] == PAUSE_MS_MAX


def test_a_success_closes_it_and_forgets() -> None:
    breaker = opened()
    assert breaker.admits(PAUSE_MS)
    breaker.failed(PAUSE_MS)
    breaker.succeeded()
    assert breaker.is_closed
    assert breaker.admits(PAUSE_MS)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(0)
    assert breaker.open_until_ms == PAUSE_MS


def test_late_failures_of_the_same_crash_do_not_lengthen_the_pause() -> None:
    """Thirty requests that were running when it fell are one fall."""
    breaker = opened()
    for _ in range(30):
        breaker.failed(10)
    assert breaker.open_until_ms == 10 + PAUSE_MS


def test_to_ask_whether_it_admits_changes_nothing() -> None:
    """Who is asked and then not chosen would otherwise have had its one trial."""
    breaker = opened()
    assert [breaker.admits(PAUSE_MS) for _ in range(3)] == [True] * 3
