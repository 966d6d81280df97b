"""From a setting to a collector: a real node tells of a real call, and of its last ones too."""

import pytest

from tests.fakes.collector import collecting_apart
from tests.system.conftest import MakeNode

pytestmark = pytest.mark.slow


def test_a_call_reaches_the_collector_though_the_node_ends_at_once(make_node: MakeNode) -> None:
    """What was answered just before the end is told before the clerk is gone; nothing of a key."""
    with collecting_apart() as collector:
        node = make_node(
            workers=1,
            settings={
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_EXPORTER_OTLP_HEADERS": "x-scope=s3cret-scope",
            },
        )
        key = node.make_key(10)
        status, headers, _ = node.chat(key)
        assert status == 200
        page = node.admin("GET", "/metrics").decode()
        assert "tallygate_clerk_traces_dropped 0\n" in page
        assert node.stop() == 0
        (own,) = collector.named("POST /v1/chat/completions")
        assert own.attributes["tallygate.request.id"] == headers["x-request-id"]
        (asked,) = collector.named("chat fake-chat")
        assert asked.attributes["server.address"] == "127.0.0.1"
        assert asked.attributes["gen_ai.usage.output_tokens"] > 0
        assert collector.headers[0]["x-scope"] == "s3cret-scope"
        assert key not in str(collector.spans) and "s3cret-scope" not in node.log
