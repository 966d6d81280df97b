"""What all tests share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Tallygate runs on asyncio; anyio's pytest plugin would run trio as well."""
    return "asyncio"
