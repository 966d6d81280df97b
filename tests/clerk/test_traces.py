"""A collector hears of what was settled; whatever becomes of it, settling never waits for it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web

from tallygate.clerk import figures, traces
from tallygate.core.commands import CreateKey, KeyView
from tallygate.core.entry import Entry
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import WAIT_S, Node, Worker, until
from tests.fakes.collector import Collector, collecting
from tests.journal.samples import entry

pytestmark = pytest.mark.anyio

SECRET = "s3cret-of-the-collector"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as one:
        yield one


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches leave when the test says so, and a failure is followed by the next try."""
    monkeypatch.setattr(traces, "EVERY_S", 1e6)
    monkeypatch.setattr(traces, "PAUSE_S_FIRST", 0.0)


async def told_to(make_node: MakeNode, collector: Collector, **changes: Any) -> Node:
    return await make_node(otlp_endpoint=collector.url, **changes)


async def use(node: Node, worker: Worker, *request_ids: str, **changes: Any) -> None:
    """On the books, and settled."""
    assert worker.journal is not None
    for request_id in request_ids:
        made: Entry = msgspec.structs.replace(entry(request_id), **changes)
        worker.journal.append(msgspec.msgpack.encode(made))
    worker.journal.write()
    await node.clerk.recovery.scan()
    await node.clerk.settler.barrier()


def figure(node: Node, name: str) -> int:
    return int(figures.of(node.clerk)["figures"][f"traces_{name}"])


def warnings(logged: Any) -> list[str]:
    return [line["event"] for line in logged if line["log_level"] in ("warning", "error")]


async def test_what_was_settled_is_told_once_with_its_team_and_under_the_settings_names(
    make_node: MakeNode, collector: Collector, store_url: str
) -> None:
    headers = f"authorization=Bearer%20{SECRET}"
    node = await told_to(
        make_node, collector, url=store_url, otlp_headers=headers, otlp_service_name="gate"
    )
    made = await node.command(CreateKey(team_id="red"), into=KeyView)
    worker = await node.worker(0)
    await use(node, worker, "req_1", "req_2", key_id=made.id)
    await node.clerk.traces.flush(WAIT_S)
    await use(node, worker, "req_3", key_id=999)
    await node.clerk.traces.flush(WAIT_S)
    own = collector.named("POST /v1/chat/completions")
    assert [one.attributes["tallygate.request.id"] for one in own] == ["req_1", "req_2", "req_3"]
    assert [one.attributes.get("tallygate.team.id") for one in own] == ["red", "red", None]
    assert collector.resource["service.name"] == "gate"
    assert collector.resource["service.instance.id"] == node.options.node_name
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert collector.headers[0]["content-type"] == "application/json"
    assert (figure(node, "sent"), figure(node, "dropped"), figure(node, "waiting")) == (3, 0, 0)
    assert SECRET not in repr(node.options)


async def test_without_a_collector_nothing_is_kept_and_nothing_is_counted(node: Node) -> None:
    await use(node, await node.worker(0), "req_1")
    assert node.clerk.settler.settled is None
    assert not any(name.startswith("traces") for name in figures.of(node.clerk)["figures"])


async def test_a_collector_that_hangs_delays_no_settling_and_the_oldest_are_left_out(
    make_node: MakeNode, collector: Collector
) -> None:
    """The queue is bounded; what it could not hold is counted, and said once."""
    collector.answers = [0]
    node = await told_to(make_node, collector, otlp_queue_max=5)
    worker = await node.worker(0)
    await use(node, worker, "req_0")
    node.clerk.traces._wake.set()
    await until(lambda: collector.paths)
    with structlog.testing.capture_logs() as logged:
        await use(node, worker, *(f"req_{number}" for number in range(1, 13)))
        await use(node, worker, *(f"req_{number}" for number in range(13, 21)))
    assert figures.of(node.clerk)["figures"]["entries_settled"] == 21
    assert (figure(node, "waiting"), figure(node, "dropped")) == (5, 15)
    assert warnings(logged) == ["traces are lost"]


async def test_a_collector_that_was_away_gets_what_waited_and_is_complained_of_once(
    make_node: MakeNode, collector: Collector
) -> None:
    collector.answers = [503, 429, 502, 504]
    node = await told_to(make_node, collector, otlp_headers=f"x={SECRET}")
    with structlog.testing.capture_logs() as logged:
        await use(node, await node.worker(0), "req_1")
        node.clerk.traces._wake.set()
        await until(lambda: figure(node, "sent"))
    assert len(collector.paths) == 5 and len(collector.spans) == 2
    assert (figure(node, "sent"), figure(node, "dropped")) == (1, 0)
    assert figure(node, "is_collector_failing") == 0
    assert warnings(logged) == ["the collector does not take traces"]
    assert logged[-1]["event"] == "the collector takes traces again"
    assert SECRET not in str(logged)


async def test_the_end_does_not_wait_for_a_collector_that_fails(
    make_node: MakeNode, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart must not take longer because nobody listens."""
    monkeypatch.setattr(traces, "PAUSE_S_FIRST", 1e6)
    monkeypatch.setattr(traces, "PAUSE_S_MAX", 1e6)
    collector.answers = [503]
    node = await told_to(make_node, collector)
    worker = await node.worker(0)
    await use(node, worker, "req_1")
    await node.clerk.traces.flush(1e6)
    await use(node, worker, "req_2")
    await node.clerk.traces.flush(1e6)
    assert len(collector.paths) == 1 and figure(node, "waiting") == 1


@pytest.mark.parametrize("answer", [400, 401, 404, 413, 500, 301])
async def test_what_a_collector_refuses_for_good_is_not_sent_again(
    make_node: MakeNode, collector: Collector, answer: int
) -> None:
    """Nor anywhere else: a redirect would be shown the headers."""
    moved = web.Response(status=answer, headers={"location": f"{collector.url}/elsewhere"})
    collector.answers = [moved]
    node = await told_to(make_node, collector)
    worker = await node.worker(0)
    with structlog.testing.capture_logs() as logged:
        await use(node, worker, "req_1")
        await node.clerk.traces.flush(WAIT_S)
    await until(lambda: figure(node, "dropped"))
    assert collector.paths == ["/v1/traces"]
    assert figure(node, "is_collector_failing") == 1
    assert warnings(logged) == ["the collector does not take traces", "traces are lost"]
    await use(node, worker, "req_2")
    node.clerk.traces._wake.set()
    await until(lambda: figure(node, "sent"))
    assert (figure(node, "sent"), figure(node, "dropped")) == (1, 1)


async def test_spans_that_a_collector_did_not_keep_are_counted(
    make_node: MakeNode, collector: Collector
) -> None:
    said = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}
    collector.answers = [web.json_response(said)]
    node = await told_to(make_node, collector)
    await use(node, await node.worker(0), "req_1")
    await node.clerk.traces.flush(WAIT_S)
    assert (figure(node, "sent"), figure(node, "spans_rejected")) == (1, 2)


async def test_a_share_is_told_but_all_of_what_clients_have_sampled(
    make_node: MakeNode, collector: Collector
) -> None:
    node = await told_to(make_node, collector, otlp_sample_ratio=0.0)
    worker = await node.worker(0)
    await use(node, worker, "req_1", "req_2")
    await use(node, worker, "req_3", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    await node.clerk.traces.flush(WAIT_S)
    assert {one.trace_id for one in collector.spans} == {"a" * 32}
    assert collector.spans[0].parent_id == "b" * 16


async def test_while_the_store_is_away_traces_are_told_without_their_teams(
    make_node: MakeNode, collector: Collector
) -> None:
    node = await told_to(make_node, collector)
    made = await node.command(CreateKey(team_id="red"), into=KeyView)
    await use(node, await node.worker(0), "req_1", key_id=made.id)
    node.db.is_away = True
    await node.clerk.traces.flush(WAIT_S)
    node.db.is_away = False
    assert "tallygate.team.id" not in collector.spans[0].attributes


async def test_a_trace_that_cannot_be_made_is_lost_and_nothing_else(
    make_node: MakeNode, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in telling must not end the clerk, by which the money goes."""
    node = await told_to(make_node, collector)
    worker = await node.worker(0)
    with monkeypatch.context() as broken:
        broken.setattr(traces, "encode_spans", lambda _: 1 / 0)
        await use(node, worker, "req_1")
        await node.clerk.traces.flush(WAIT_S)
    await use(node, worker, "req_2")
    await node.clerk.traces.flush(WAIT_S)
    assert node.failures == []
    assert (figure(node, "dropped"), figure(node, "sent")) == (1, 1)
