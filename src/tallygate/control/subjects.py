"""Whose points a call is about: the caller's own, or those of whoever an operator names."""

from fastapi import Request

from tallygate.control.callers import Kind, caller_of
from tallygate.core.accounts import Role
from tallygate.core.errors import Code, Refusal


def subject_of(request: Request, named: str | None) -> str:
    """The account that is meant.

    Members and keys mean themselves, and may say so. The admin token belongs to nobody and has to
    name one; a session that may look at everybody's account may name one.
    """
    caller = caller_of(request)
    if caller.kind is Kind.ADMIN_TOKEN:
        if not named:
            message = "say whose points are meant: the admin token names `user_id`"
            raise Refusal(Code.BAD_REQUEST, message, param="user_id")
        return named
    assert caller.account_id is not None, "the door lets nobody else in here"
    if named and named != caller.account_id:
        if caller.kind is not Kind.SESSION or caller.role is Role.MEMBER:
            raise Refusal(Code.FORBIDDEN, "these are somebody else's points", param="user_id")
        return named
    return caller.account_id
