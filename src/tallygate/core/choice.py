"""Which providers may answer for a model, and in which order: priority first, then weight.

Sharing by weight is smooth and needs no randomness: each choice raises everyone's credit by its
weight, takes the richest and charges it the sum.
"""

from collections.abc import Iterable, Sequence

from tallygate.core.provider import Protocol, Provider, Snapshot

DEMO_MODEL = "demo/echo"
NAMES_REMEMBERED_MAX = 4096


class Routes:
    """Model name → the providers that may serve it, each with the name it calls the model."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._providers = snapshot.providers
        self._known: dict[tuple[str, str], tuple[tuple[Provider, str], ...]] = {}

    @property
    def is_empty(self) -> bool:
        return not self._providers

    @property
    def is_demo(self) -> bool:
        return any(one.is_demo for one in self._providers)

    def candidates(self, model: str, protocol: Protocol) -> tuple[tuple[Provider, str], ...]:
        """In order of priority; empty when nobody serves the model in this protocol."""
        found = self._known.get((model, protocol._value_))
        if found is None:
            found = tuple(sorted(self._find(model, protocol), key=lambda one: one[0].priority))
            if len(self._known) >= NAMES_REMEMBERED_MAX:
                self._known.clear()
            self._known[model, protocol._value_] = found
        return found

    def _find(self, model: str, protocol: Protocol) -> Iterable[tuple[Provider, str]]:
        if self.is_demo:
            return [(one, model) for one in self._providers if model == DEMO_MODEL and one.is_demo]
        speakers = [one for one in self._providers if one.protocol is protocol]
        if len({one.label for one in self._providers}) == 1:
            return [(one, one.aliases.get(model, model)) for one in speakers]
        prefix, slash, rest = model.partition("/")
        named = [(one, rest) for one in speakers if slash and one.label == prefix]
        if named:
            return [(one, one.aliases.get(name, name)) for one, name in named]
        aliased = [(one, one.aliases[model]) for one in speakers if model in one.aliases]
        listed = [
            (one, model)
            for one in speakers
            if one.models is not None and model in one.models and model not in one.aliases
        ]
        if aliased or listed:
            return aliased + listed
        return [(one, model) for one in speakers if one.models is None]

    def model_names(self) -> list[tuple[str, str]]:
        """Every model that is listed or aliased, with the provider that comes first for it."""
        names: dict[str, str] = {}
        for provider in sorted(self._providers, key=lambda one: one.priority):
            for name in (*(provider.models or ()), *provider.aliases):
                names.setdefault(name, provider.label)
        return sorted(names.items())


class WeightedTurns:
    """Smooth weighted round robin over providers of one priority."""

    __slots__ = ("_credits",)

    def __init__(self) -> None:
        self._credits: dict[str, int] = {}

    def choose(self, providers: Sequence[tuple[Provider, str]]) -> int:
        """The index of the next one in turn."""
        if len(providers) == 1:
            return 0
        total = 0
        best = 0
        for index, (provider, _) in enumerate(providers):
            credit = self._credits.get(provider.name, 0) + provider.weight
            self._credits[provider.name] = credit
            total += provider.weight
            if credit > self._credits[providers[best][0].name]:
                best = index
        self._credits[providers[best][0].name] -= total
        return best
