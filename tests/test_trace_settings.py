"""A collector is named by our settings or OpenTelemetry's own; its headers are secrets."""

import pytest

from tallygate.config import BadSettings, load

ENDPOINT, HEADERS = "TALLYGATE_OTLP_ENDPOINT", "TALLYGATE_OTLP_HEADERS"


def test_opentelemetrys_own_names_are_taken_and_ours_win() -> None:
    """A container whose platform names a collector for all programs finds it."""
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=very-secret",
        "OTEL_SERVICE_NAME": "gate",
    }
    settings, warnings = load(given)
    assert warnings == []
    assert (settings.otlp_endpoint, settings.otlp_service_name) == ("http://c:4318", "gate")
    assert settings.otlp_headers is not None
    assert settings.otlp_headers.get_secret_value() == "authorization=very-secret"
    assert "very-secret" not in repr(settings)
    settings, _ = load({**given, ENDPOINT: "https://ours"})
    assert settings.otlp_endpoint == "https://ours"
    settings, _ = load({**given, ENDPOINT: "off"})
    assert settings.otlp_endpoint == "", "the platform's collector is not for us"


def test_there_are_no_traces_unless_somebody_wants_them() -> None:
    settings, _ = load({})
    assert (settings.otlp_endpoint, settings.otlp_headers) == ("", None)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({ENDPOINT: "collector:4317"}, ENDPOINT),
        ({ENDPOINT: "http://"}, ENDPOINT),
        ({ENDPOINT: "http://user:very-secret@c"}, ENDPOINT),
        ({ENDPOINT: "http://c/?token=very-secret"}, ENDPOINT),
        ({HEADERS: "very-secret"}, HEADERS),
        ({"TALLYGATE_OTLP_SAMPLE_RATIO": "1.5"}, "TALLYGATE_OTLP_SAMPLE_RATIO"),
        ({"TALLYGATE_OTLP_QUEUE_MAX": "0"}, "TALLYGATE_OTLP_QUEUE_MAX"),
    ],
)
def test_a_bad_setting_stops_the_start_and_shows_no_secret(
    given: dict[str, str], named: str
) -> None:
    with pytest.raises(BadSettings) as bad:
        load(given)
    assert named in str(bad.value) and "very-secret" not in str(bad.value)
