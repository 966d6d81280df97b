"""The examples of docs/reference/pricing.md, read out of the page and computed."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallygate.core.calculation import calculate
from tallygate.core.money import format_points
from tallygate.core.price_terms import Version, Written, read_rate, read_terms
from tallygate.core.pricing import Currency, Rate, cost

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/pricing.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def written(price: dict[str, Any]) -> Written:
    texts = {
        name: str(value) if name.endswith("_price") and value is not None else value
        for name, value in price.items()
    }
    return msgspec.convert(texts, Written)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_page_comes_out_as_it_says(text: str) -> None:
    """Whoever checks a bill by hand does it with this page."""
    example = json.loads(text, parse_float=Decimal)
    version = Version(
        id=1,
        model="m",
        terms=read_terms(written(example["price"])),
        effective_ms=0,
        created_ms=0,
        actor="",
        reason="",
        source="",
    )
    rate = Rate(1, read_rate(example["rate"]))
    charged = cost(example["counts"], version.price, rate)
    assert format_points(charged.micros) == example["points"]
    calculated = calculate(example["counts"], version.price, rate, Currency.POINTS)
    assert (calculated.total, calculated.micros) == (example["points"], charged.micros)


def test_the_page_has_its_examples() -> None:
    """A page whose blocks are not found any more would pass by testing nothing."""
    assert len(EXAMPLES) == 10
