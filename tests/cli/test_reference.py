"""What is written down is what the code does."""

from pathlib import Path

import pytest

from tallygate.docs import pages

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize("path", pages(REFERENCE), ids=lambda path: path.name)
def test_the_reference_says_what_the_code_says(path: Path) -> None:
    """A page that lags behind is worse than none: `make docs` writes it again."""
    assert path.read_text("utf-8") == pages(REFERENCE)[path]
