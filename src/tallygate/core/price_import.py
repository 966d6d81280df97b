"""What a list of prices changes: decided here, shown to the operator, then written.

A list adds versions and names; it never takes away a model, and what an operator set by hand stays
unless the operator says otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence

from tallygate.core.price_commands import FILE, OPERATOR, ImportedPrice, ImportPrices, ModelChange
from tallygate.core.price_terms import BadPrice, Version, check_name, read_terms

MODELS_MAX = 10_000
ALIASES_MAX = 100


class Known:
    """The models and aliases that there are, found ignoring case."""

    def __init__(self, current: Sequence[Version], aliases: Mapping[str, str]) -> None:
        self.versions = {version.model: version for version in current}
        self.names = {name.casefold(): name for name in sorted(self.versions, reverse=True)}
        self.aliases = {name.casefold(): model for name, model in aliases.items()}
        self._spelled = sorted((model, name) for name, model in aliases.items())

    def find(self, name: str) -> str | None:
        """The model that a name means: exactly, then ignoring case, then by alias."""
        folded = name.casefold()
        if name in self.versions or folded in self.names:
            return name if name in self.versions else self.names[folded]
        target = self.aliases.get(folded)
        return None if target is None else self.names.get(target.casefold())

    def aliases_of(self, model: str) -> list[str]:
        """Its other names, as they were written."""
        return [name for target, name in self._spelled if target == model]

    def is_alias(self, name: str) -> bool:
        """Whether `name` is known, but only as another name of a model."""
        return name.casefold() not in self.names and self.find(name) is not None


def plan(wanted: ImportPrices, known: Known) -> list[ModelChange]:
    """What becomes of every model of the list, in its order; BadPrice names the first bad one."""
    if len(wanted.models) > MODELS_MAX:
        raise BadPrice("models", f"import at most {MODELS_MAX} at once")
    seen: set[str] = set()
    for one in wanted.models:
        check_name(one.model_name)
        if one.model_name.casefold() in seen:
            raise BadPrice(one.model_name, "is listed twice")
        seen.add(one.model_name.casefold())
    taken = seen | known.names.keys()
    changes = [_plan_one(one, wanted, known) for one in wanted.models]
    for one, change in zip(wanted.models, changes, strict=True):
        change.aliases = list(_new_aliases(one, change, wanted, known, taken))
        if change.aliases and change.kind == "same":
            change.kind = "changed"
    return changes


def _plan_one(one: ImportedPrice, wanted: ImportPrices, known: Known) -> ModelChange:
    try:
        after = read_terms(one.price)
    except BadPrice as error:
        raise BadPrice(one.model_name, str(error)) from None
    name = known.find(one.model_name)
    before = known.versions.get(name) if name else None
    if name is None or before is None:
        return ModelChange(model=one.model_name, kind="new", before=None, after=after)
    change = ModelChange(model=name, kind="changed", before=before.terms, after=after)
    if known.is_alias(one.model_name):
        change.kind, change.note = "kept", f"{one.model_name} is another name of {name}"
    elif before.terms == after:
        change.kind = "same"
    elif wanted.source != FILE and before.source == OPERATOR and not wanted.may_replace:
        change.kind, change.note = "kept", "set by an operator"
    return change


def _new_aliases(
    one: ImportedPrice,
    change: ModelChange,
    wanted: ImportPrices,
    known: Known,
    taken: set[str],
) -> Iterator[str]:
    """Names to be added: no model's own, no name twice, and nobody's who has it already, unless
    a file says so."""
    if change.kind == "kept":
        return
    if len(one.aliases) > ALIASES_MAX:
        raise BadPrice(one.model_name, f"give it at most {ALIASES_MAX} aliases")
    for alias in one.aliases:
        check_name(alias, "aliases", may_be_default=False)
        folded = alias.casefold()
        target = known.aliases.get(folded)
        if folded not in taken and target != change.model and (not target or wanted.source == FILE):
            taken.add(folded)
            yield alias
