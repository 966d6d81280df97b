"""What may stand in a log line."""

import io
import json
import logging

import pytest
from pydantic import SecretStr

from tallygate.telemetry.logs import logger, set_up_logs

SECRET = "roc_never-to-be-seen"


@pytest.fixture
def lines():
    stream = io.StringIO()
    set_up_logs("info", "json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_no_secret_is_ever_rendered(lines) -> None:
    """A key in a log is a key in every place that logs are copied to."""
    nested = {"headers": [SecretStr(SECRET), SECRET.encode(), {"deep": bytearray(SECRET.encode())}]}
    logger("gateway").info("asked", key=SECRET.encode(), nested=nested)
    assert SECRET not in str(lines())
    assert lines()[0]["key"] == "[20 bytes]"


def test_a_traceback_shows_no_values(lines) -> None:
    """The values of variables at the moment of a failure are where the secrets are."""

    def fail(token: str) -> None:
        raise ValueError("broken")

    try:
        fail(SECRET)
    except ValueError:
        logger("clerk").exception("failed")
    assert "ValueError: broken" in lines()[0]["exception"]
    assert SECRET not in str(lines())


def test_every_line_says_when_and_how_grave_and_from_where(lines) -> None:
    logger("clerk").warning("slow", lag_ms=12)
    (line,) = lines()
    assert line["role"] == "clerk"
    assert line["level"] == "warning"
    assert line["at"].endswith("Z")
    assert line["lag_ms"] == 12


def test_lines_below_the_level_are_left_out(lines) -> None:
    logger("clerk").debug("detail")
    assert lines() == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("closed")])
def test_a_log_that_cannot_be_written_fails_nobody(lines, error: Exception) -> None:
    """A full disk under the log once turned a 503 with Retry-After into a 500."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    set_up_logs("info", "json", stream=Broken())
    logger("control").warning("store_unavailable")
    logging.getLogger("uvicorn.error").error("cannot serve")


def test_what_libraries_log_has_the_same_form(lines) -> None:
    """One reader for all lines: a server library must not write in a format of its own."""
    logging.getLogger("uvicorn.error").error("cannot %s", "serve")
    (line,) = lines()
    assert line["event"] == "cannot serve"
    assert line["level"] == "error"
