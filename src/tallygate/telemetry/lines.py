"""A family of Prometheus' text format, line by line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

PREFIX = "tallygate_"

Labels = Mapping[str, str]


def as_page(lines: Iterable[str]) -> bytes:
    return "".join(f"{one}\n" for one in lines).encode()


def family(
    name: str, kind: str, meaning: str, samples: Sequence[tuple[Labels, float]]
) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {meaning}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value in samples:
        yield line(f"{PREFIX}{name}", labels, value)


def line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
