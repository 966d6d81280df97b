"""A client's `traceparent` is on record with its request, for whoever makes a trace of it."""

import pytest

from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import chat, reply, request
from tests.gateway.rig import rigged
from tests.gateway.test_routes import served

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("sent", "kept"), [(PARENT, PARENT), (PARENT + "-more", PARENT), ("", "")])
def test_a_metered_call_keeps_its_traceparent_and_the_provider_sees_it(
    sent: str, kept: str
) -> None:
    """It goes on as the client sent it: a provider that traces joins the client's trace, too."""
    with rigged({"k": key_with(daily(1, 99))}) as rig:
        client = rig.client()
        client.send(chat(traceparent=sent) if sent else chat())
        assert (b"traceparent: " + sent.encode() in rig.upstream.transport.written) is bool(sent)
        rig.upstream.send(reply())
        client.answer()
        assert rig.entries()[0].traceparent == kept


def test_the_same_connection_tells_its_requests_apart() -> None:
    """Heads are remembered by their bytes: a trace's id makes another head of the same call."""
    with rigged({"k": key_with(daily(1, 99))}) as rig:
        client = rig.client()
        for number in range(3):
            client.send(chat(traceparent=PARENT.replace("b7", f"0{number + 1}")))
            rig.upstream.send(reply())
            client.answer()
        assert [one.traceparent[36:38] for one in rig.entries()] == ["01", "02", "03"]


def test_a_call_of_a_private_service_keeps_it_too() -> None:
    with served() as rig:
        client = rig.client()
        client.send(request("GET", "/svc/x", traceparent=PARENT))
        rig.upstream.send(reply())
        client.answer()
        assert rig.entries()[0].traceparent == PARENT
