"""A bad setting of notices stops the start with one line that names it and no secret."""

import pytest

from tallygate.config import BadSettings, load

URL = "TALLYGATE_NOTIFY_WEBHOOK_URL"
SECRET = "TALLYGATE_NOTIFY_WEBHOOK_SECRET"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({URL: "https://hooks.example/very-secret"}, SECRET),
        ({URL: "hooks.example/very-secret", SECRET: "x"}, URL),
        ({URL: "https://hooks.example", SECRET: "whsec_very-secret!"}, SECRET),
        ({URL: "https://hooks.example", SECRET: "whsec_"}, SECRET),
    ],
)
def test_a_webhook_that_could_not_be_signed_stops_the_start(
    given: dict[str, str], named: str
) -> None:
    """An unsigned notice is one that anybody can forge."""
    with pytest.raises(BadSettings) as bad:
        load(given)
    assert named in str(bad.value) and "very-secret" not in str(bad.value)


def test_what_is_well_set_is_taken() -> None:
    settings, warnings = load({URL: "https://hooks.example", SECRET: "any text"})
    assert warnings == [] and settings.notify_webhook_secret is not None
    assert "any text" not in repr(settings) and "hooks.example" not in repr(settings)
