"""The counters of a worker, on their way to Prometheus' text."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tallygate.core.entry import Outcome
from tallygate.core.errors import Code
from tallygate.telemetry.counters import BUCKET_COUNT, Counters, decode
from tallygate.telemetry.exposition import render, render_inspection

COUNTS = {"input_tokens": 19, "output_tokens": 10}


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The page as an independent reader of the format understands it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def labels(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def test_every_ended_request_is_counted_once() -> None:
    """An operator adds these numbers up; a request in two series would be counted twice."""
    counters = Counters()
    counters.ended(Outcome.OK, 200, 12, COUNTS, "deepseek")
    counters.ended(Outcome.OK, 200, 13, COUNTS, "deepseek")
    counters.ended(Outcome.UNREACHABLE, 0, 13, {}, "deepseek")
    counters.ended(Outcome.UPSTREAM_ERROR, 502, 1, {}, "openai")
    found = samples(render({0: counters.encode()}, {}))
    requests = {key[1]: value for key, value in found.items() if key[0].endswith("requests_total")}
    assert requests == {
        labels(provider="deepseek", outcome="ok", status="2xx", worker="0"): 2,
        labels(provider="deepseek", outcome="unreachable", status="none", worker="0"): 1,
        labels(provider="openai", outcome="upstream_error", status="5xx", worker="0"): 1,
    }
    tokens = labels(provider="deepseek", direction="input", worker="0")
    assert found["tallygate_tokens_total", tokens] == 38


def test_refusals_are_counted_by_their_code() -> None:
    counters = Counters()
    counters.refused(Code.RATE_LIMIT_EXCEEDED)
    counters.refused(Code.RATE_LIMIT_EXCEEDED)
    found = samples(render({3: counters.encode()}, {}))
    code = labels(code="rate_limit_exceeded", worker="3")
    assert found["tallygate_refusals_total", code] == 2


@given(st.lists(st.integers(-1, 2**40)))
def test_a_histogram_holds_every_duration_below_its_bound(durations: list[int]) -> None:
    """Prometheus reads buckets as «at most»: one on the wrong side bends every quantile."""
    counters = Counters()
    for duration_ms in durations:
        counters.ended(Outcome.OK, 200, duration_ms, {}, "p")
    found = samples(render({0: counters.encode()}, {}))
    for (name, given_labels), value in found.items():
        if name == "tallygate_request_duration_seconds_bucket":
            bound_ms = float(dict(given_labels)["le"]) * 1000
            assert value == sum(max(0, one) <= bound_ms + 1e-6 for one in durations)


def test_series_of_workers_stay_apart() -> None:
    """A restarted worker begins at zero: in a sum over workers that would look like a loss."""
    first, second = Counters(), Counters()
    first.ended(Outcome.OK, 200, 1, {}, "p")
    second.ended(Outcome.OK, 200, 1, {}, "p")
    found = samples(render({0: first.encode(), 1: second.encode()}, {"feed_seq": 7}))
    for worker in ("0", "1"):
        key = labels(provider="p", outcome="ok", status="2xx", worker=worker)
        assert found["tallygate_requests_total", key] == 1
    assert found["tallygate_workers", ()] == 2
    assert found["tallygate_clerk_feed_seq", ()] == 7


def test_the_clerks_inspection_becomes_a_page() -> None:
    """Whatever number the clerk reports is on the page, under the names that lead to it."""
    counters = Counters()
    counters.refused(Code.OVERLOADED)
    worker = {"slot": 2, "boot": 1, "pid": 9, "gauges": counters.encode()}
    figures = {"journal": {"lag-bytes": 12}, "is_store_available": True}
    inspection = {"node": "a", "workers": [worker], "figures": figures}
    found = samples(render_inspection(inspection))
    assert found["tallygate_refusals_total", labels(code="overloaded", worker="2")] == 1
    assert found["tallygate_clerk_journal_lag_bytes", ()] == 12
    assert found["tallygate_clerk_is_store_available", ()] == 1


def test_an_upstream_left_alone_is_shown_as_unhealthy() -> None:
    counters = Counters()
    counters.ended(Outcome.OK, 200, 1, {}, "good")
    counters.unhealthy = ["bad"]
    found = samples(render({0: counters.encode()}, {}))
    assert found["tallygate_upstream_healthy", labels(provider="good", worker="0")] == 1
    assert found["tallygate_upstream_healthy", labels(provider="bad", worker="0")] == 0


def test_a_providers_name_cannot_break_the_page() -> None:
    """An operator names providers; a quote in a name must not hide all the other metrics."""
    counters = Counters()
    counters.ended(Outcome.OK, 200, 1, {}, 'a"b\\c\nd')
    found = samples(render({0: counters.encode()}, {}))
    assert any(dict(key[1]).get("provider") == 'a"b\\c\nd' for key in found)


def test_a_worker_that_has_not_reported_is_left_out() -> None:
    """During a rolling upgrade an older worker's figures may not be ours to read."""
    for values in (b"", b"\xc1", b"\x96\x02\x80\x80\x80\x80\x90", b"\x96\x01\x81\xa1p\x91\x01\x80"):
        assert decode(values) is None
        assert samples(render({0: values}, {}))["tallygate_workers", ()] == 0


def test_absurd_statuses_and_durations_are_counted_all_the_same() -> None:
    """An upstream may answer 999; that must not be what takes a worker down."""
    counters = Counters()
    counters.ended(Outcome.OK, 999, 2**60, {}, "p")
    figures = decode(counters.encode())
    assert figures is not None
    assert sum(figures.by_provider["p"][-BUCKET_COUNT:]) == 1


def test_the_keepers_figures_stand_beside_the_clerks() -> None:
    """Whoever alarms on credentials scrapes the server, too, not only a file of a cron job."""
    keeper = {
        "credentials": [["baoming", "valid", 7], ["oauth2", "quarantined", 1]],
        "last_run": {"refreshed": 7, "failed": 0},
        "last_run_ms": 1500,
        "silent_ms": 3_600_000,
        "alerts": [["credential.died", True, 2]],
    }
    found = samples(render_inspection({"keeper": keeper}))
    assert found["tallygate_keeper_credentials", labels(kind="baoming", state="valid")] == 7
    assert found["tallygate_keeper_last_run_credentials", labels(end="refreshed")] == 7
    assert found["tallygate_keeper_last_run_duration_seconds", ()] == 1.5
    assert found["tallygate_keeper_seconds_since_last_run", ()] == 3600
    alert = labels(alert="credential.died", sent="yes")
    assert found["tallygate_keeper_alerts", alert] == 2
    never = {**keeper, "last_run": None, "silent_ms": None}
    assert not any("run" in name for name, _ in samples(render_inspection({"keeper": never})))
    for nothing in ({}, {"keeper": None}, {"keeper": {"credentials": []}}):
        assert not any("keeper" in name for name, _ in samples(render_inspection(nothing)))
