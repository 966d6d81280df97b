"""docs/reference/roles.md: who may do what, out of the table that the door asks."""

from tallygate.control.roles import EXCEPTIONS, RULES

_HEAD = """# Roles

Whoever calls is recognised by one of these, and a header decides before a cookie:

| caller | recognised by | may |
|---|---|---|
| the operator | the admin token, `Authorization: Bearer` or `X-Admin-Token` | everything |
| `admin` | a session | everything that the admin token may |
| `operator` | a session | daily work: keys, members, teams, prices, wallets, nodes; neither other \
people's roles nor providers' secrets |
| `viewer` | a session | look at what operators work on |
| `member` | a session | their own account: `/api/user` |
| a member's program | a key of their own, `Authorization: Bearer`, `X-API-Key` or `X-Trial-Key` | \
their own points: `/api/user`, but no keys and no password |

A session comes from `POST /api/session` or from OpenID Connect, as a cookie that no script can
read. Calls that change something send `X-CSRF-Token` with it, as `GET /api/session` answers it. Who
is not recognised is answered 401, who is but may not, 403. A deactivated account has no session and
its keys open nothing. The audit log names an account `user:<id>`, and the admin token `admin`.

The longest path that covers a call counts; what has no line is for the admin token only.
Written by `make docs`.

| calls | to look | to change | |
|---|---|---|---|
"""


def page() -> str:
    rows = [
        f"| `{rule.path}` | {rule.read.value} | {rule.change.value} | {rule.note} |\n"
        for rule in RULES
    ]
    rows += [
        f"| `{method} {path}` | | {need.value} | |\n" for (method, path), need in EXCEPTIONS.items()
    ]
    return _HEAD + "".join(rows)
