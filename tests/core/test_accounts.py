"""What an account may be called, and what a provider's groups mean."""

import pytest

from tallygate.core.accounts import (
    ID_LENGTH_MAX,
    Role,
    flaw_of_email,
    flaw_of_id,
    flaw_of_name,
    flaw_of_password,
    fold_email,
    highest_role,
    read_role_map,
)


@pytest.mark.parametrize(
    "id_", ["u", "user-1", "abc@example.com", "张伟", "a b", "x" * ID_LENGTH_MAX]
)
def test_what_dify_calls_its_users_is_taken_as_it_is(id_: str) -> None:
    """An id that had to be translated would be billed to nobody."""
    assert flaw_of_id(id_) == ""


@pytest.mark.parametrize(
    "id_", ["", " u", "u ", "a/b", "a\\b", ".", "..", "a\nb", "a\0b", "x" * (ID_LENGTH_MAX + 1)]
)
def test_an_id_that_no_path_could_name_is_refused(id_: str) -> None:
    assert flaw_of_id(id_)


def test_addresses_names_and_passwords_are_looked_at() -> None:
    for good in ("a@b", "ann.lee+x@example.com"):
        assert flaw_of_email(good) == ""
    for bad in ("", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "x" * 250 + "@b.co"):
        assert flaw_of_email(bad), bad
    assert fold_email(" Ann@Example.COM ") == "ann@example.com"
    assert flaw_of_name("") == flaw_of_name("Ann") == ""
    assert flaw_of_name("a\nb") and flaw_of_name("x" * 201)
    assert flaw_of_password("1234567") and flaw_of_password("x" * 1025)
    assert flaw_of_password("12345678") == ""


def test_of_several_groups_the_highest_role_counts() -> None:
    """Whoever is in both groups must not become less by the order in which they are listed."""
    roles = read_role_map("ops = operator, staff=viewer,a=b=admin,")
    assert roles == {"ops": Role.OPERATOR, "staff": Role.VIEWER, "a=b": Role.ADMIN}
    assert highest_role(["staff", "ops", "unknown"], roles) is Role.OPERATOR
    assert highest_role(["unknown"], roles) is None
    assert read_role_map("") == {}


@pytest.mark.parametrize("text", ["ops", "ops=", "=admin", "ops=emperor"])
def test_a_role_map_that_cannot_be_read_is_refused(text: str) -> None:
    """A slip here would give a role to nobody, or to everybody."""
    with pytest.raises(ValueError):
        read_role_map(text)
