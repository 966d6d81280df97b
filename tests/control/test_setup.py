"""What operators see of how their server is set up."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2 as httpx
import pytest

from tallygate.config import Settings, load
from tallygate.control.doctor import environ_of
from tallygate.control.parts import Parts
from tallygate.control.shown_settings import shown
from tests.control.conftest import ADMIN_TOKEN, connect

pytestmark = pytest.mark.anyio

SECRETS = {
    "TALLYGATE_ADMIN_TOKEN": "the-admin-token-itself",
    "TALLYGATE_DATABASE_URL": "postgresql://somebody:hunter2@db/tallygate",
    "TALLYGATE_NOTIFY_URLS": "mailto://user:hunter3@example.com",
    "TALLYGATE_OIDC_CLIENT_SECRET": "hunter4",
}


def settings(environ: dict[str, str]) -> Settings:
    return load({"TALLYGATE_CONFIG": "/nowhere/tallygate.toml", **environ})[0]


def test_no_secret_is_among_what_is_shown() -> None:
    """Whoever may look at settings may not yet take over the server."""
    found = {one.name: one for one in shown(settings(SECRETS))}
    for name, secret in SECRETS.items():
        assert (found[name].is_secret, found[name].is_set, found[name].value) == (True, True, None)
        assert secret not in str(found)
    assert "hunter" not in str(found)


def test_what_is_set_stands_beside_what_it_would_be() -> None:
    """One looks here for what differs from a fresh server."""
    found = {one.name: one for one in shown(settings({"PORT": "9000"}))}
    port = found["TALLYGATE_PORT"]
    assert (port.value, port.default, port.is_set, port.aliases) == ("9000", "8787", True, ["PORT"])
    assert not found["TALLYGATE_HOST"].is_set
    assert len(found) == len(Settings.model_fields)


@pytest.fixture
async def healthy(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async def doctor() -> bytes:
        return (
            b'{"ok": true, "findings": [{"subject": "clock", "verdict": "warn", "text": "fast",'
            b' "code": "clock_off", "values": {"ms": 2500}}, {"subject": "moon", "verdict": "ok",'
            b' "text": "full", "code": "of_tomorrow", "values": {}}]}'
        )

    made = replace(parts, settings=tuple(shown(settings({}))), doctor=doctor)
    async with connect(made, **{"X-Admin-Token": ADMIN_TOKEN}) as client:
        yield client


async def test_operators_are_told_what_is_set_and_how_the_server_is(
    healthy: httpx.AsyncClient,
) -> None:
    """The same words as the command line's."""
    items = (await healthy.get("/api/settings")).json()["items"]
    assert {"TALLYGATE_PORT", "TALLYGATE_CONSOLE_HOST"} <= {one["name"] for one in items}
    diagnosis = (await healthy.get("/api/doctor")).json()
    assert diagnosis["ok"] and diagnosis["findings"][0] == {
        "subject": "clock",
        "verdict": "warn",
        "code": "clock_off",
        "values": {"ms": 2500},
        "title": "clock",
        "text": "fast",
    }


async def test_what_doctor_finds_is_said_in_the_readers_language(
    healthy: httpx.AsyncClient,
) -> None:
    """What it has no words for stays as it was written."""
    answer = await healthy.get("/api/doctor", params={"language": "zh-TW"})
    first, second = answer.json()["findings"]
    assert (first["title"], first["subject"]) == ("時鐘", "clock")
    assert first["text"] == "儲存庫的時鐘與本機相差 2500 毫秒：請設定 NTP"
    assert (second["title"], second["text"]) == ("moon", "full")
    assert (await healthy.get("/api/doctor", params={"language": "tlh"})).status_code == 400


def test_the_doctor_is_told_every_setting_as_the_server_has_it() -> None:
    """Whatever kind it is of: read again, they are the same settings."""
    known = settings(
        {
            "DATABASE_URL": "postgresql://somebody:hunter2@db.test/x",
            "TALLYGATE_PUBLIC_MODELS": "true",
            "TALLYGATE_KEEPER_INTERVAL_H": "1.5",
            "TALLYGATE_DATA": "elsewhere",
        }
    )
    assert settings(environ_of(known, {"TALLYGATE_DATA": "here"})) == known


async def test_a_doctor_that_says_nothing_is_an_error_that_says_what_to_do(parts: Parts) -> None:
    """A clean bill of health must never come from silence."""

    async def silent() -> bytes:
        return b""

    headers = {"X-Admin-Token": ADMIN_TOKEN}
    async with connect(replace(parts, doctor=silent), **headers) as client:
        answer = await client.get("/api/doctor")
    assert answer.status_code == 503 and "tallygate doctor" in answer.json()["error"]["message"]
