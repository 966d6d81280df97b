"""What an account is called and may do: roles, ids, addresses, and who is who's peer.

An account's id is what Dify's `user_id` names, so it takes nearly any text that a path can hold.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Final

ID_LENGTH_MAX: Final = 256
NAME_LENGTH_MAX: Final = 200
EMAIL_LENGTH_MAX: Final = 254
PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 1024
ENGLISH: Final = "en"
SIMPLIFIED: Final = "zh-CN"
TRADITIONAL: Final = "zh-TW"
LANGUAGES: Final = (ENGLISH, SIMPLIFIED, TRADITIONAL)

# One `@`, something on both sides, no space: what a mail server makes of it is its own business.
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\Z")


class Role(enum.StrEnum):
    """What an account may do; docs/reference/roles.md has the table."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    MEMBER = "member"

    @classmethod
    def named(cls, name: str) -> "Role":
        """ValueError says which roles there are."""
        try:
            return cls(name)
        except ValueError as error:
            roles = ", ".join(role.value for role in cls)
            raise ValueError(f"{name!r} is no role; use one of {roles}") from error


RANKED: Final = (Role.ADMIN, Role.OPERATOR, Role.VIEWER, Role.MEMBER)


def read_role_map(text: str) -> dict[str, Role]:
    """`gate-admins=admin, support=operator`: what a provider's group means here."""
    found: dict[str, Role] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        group, separator, role = part.rpartition("=")
        if not separator or not group.strip():
            raise ValueError("use pairs like gate-admins=admin, separated by commas")
        found[group.strip()] = Role.named(role.strip())
    return found


def highest_role(groups: Iterable[str], roles: Mapping[str, Role]) -> Role | None:
    """The highest role that any of the groups stands for."""
    meant = {roles[group] for group in groups if group in roles}
    return next((role for role in RANKED if role in meant), None)


def flaw_of_id(id_: str) -> str:
    """What is wrong with it as an account's id; nothing when it is fine."""
    if not 0 < len(id_) <= ID_LENGTH_MAX:
        return f"use 1 to {ID_LENGTH_MAX} characters"
    if not id_.isprintable() or id_ != id_.strip():
        return "leave out control characters and spaces around it"
    if "/" in id_ or "\\" in id_ or id_ in (".", ".."):
        return "it must fit into a path: no slashes, and not only dots"
    return ""


def flaw_of_email(email: str) -> str:
    if len(email) > EMAIL_LENGTH_MAX or not email.isprintable() or not _EMAIL.match(email):
        return "use an address like ann@example.com"
    return ""


def flaw_of_name(name: str) -> str:
    if len(name) > NAME_LENGTH_MAX or not (name.isprintable() or not name):
        return f"use at most {NAME_LENGTH_MAX} printable characters"
    return ""


def flaw_of_language(language: str) -> str:
    return "" if language in LANGUAGES else f"use one of {', '.join(LANGUAGES)}"


def flaw_of_password(password: str) -> str:
    if len(password) < PASSWORD_LENGTH_MIN:
        return f"use at least {PASSWORD_LENGTH_MIN} characters"
    if len(password) > PASSWORD_LENGTH_MAX:
        return f"use at most {PASSWORD_LENGTH_MAX} characters"
    return ""


def fold_email(email: str) -> str:
    """As it is kept and looked up: two spellings of one mailbox are one account."""
    return email.strip().lower()
