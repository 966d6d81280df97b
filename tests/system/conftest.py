"""Real nodes before a fake upstream, on each kind of store."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream import RunningUpstream, running
from tests.system.harness import Node

MakeNode = Callable[..., Node]


@pytest.fixture
def upstream() -> Iterator[RunningUpstream]:
    with running() as upstream:
        yield upstream


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """None: the SQLite file of the data folder."""
    if request.param == "sqlite":
        return None
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def make_node(tmp_path: Path, upstream: RunningUpstream) -> Iterator[MakeNode]:
    """Makes nodes that know the upstream; all of them are stopped in the end."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def make(**options: Any) -> Node:  # the options of Node
            node = Node(tmp_path / f"node-{next(numbers)}", upstream=upstream.base_url, **options)
            return stack.enter_context(node)

        yield make
