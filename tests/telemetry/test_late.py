"""A logger that loads its library when it first has something to say."""

import json

import pytest
import structlog

from tallygate.telemetry.late import LateLogger


def test_lines_below_the_level_are_left_out_and_set_up_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    log = LateLogger("supervisor", "warning", "json")
    log.debug("role started")
    log.info("rolling restart begins")
    assert capsys.readouterr().err == "" and not structlog.is_configured()


def test_a_line_says_its_role_and_a_changed_level_is_obeyed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SIGHUP reads the settings again; what is asked for then is logged from then on."""
    log = LateLogger("supervisor", "error", "json")
    log.warning("unheard")
    log.set_up("debug", "json")
    log.debug("role started", post="clerk")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["role"], told["post"]) == ("role started", "supervisor", "clerk")
