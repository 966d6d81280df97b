"""`tallygate doctor`, asked by the console: the command itself, run beside the server, so that the
two never disagree.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from pydantic import SecretStr

from tallygate.config import Settings, names_of
from tallygate.core.diagnosis_wording import subject_of, worded
from tallygate.core.errors import Code, Refusal

TIME_S = 60.0
_RUN = "from tallygate.cli import main; main()"


class Finding(msgspec.Struct, kw_only=True):
    """One thing that was looked at: `ok`, `warn` or `fail`.

    `subject` and `code` stay, for programs, and `values` are what is said of it; `title` and `text`
    say the same in the reader's language.
    """

    subject: str
    verdict: str
    text: str
    code: str = ""
    values: dict[str, str | int] = {}
    title: str = ""


class Diagnosis(msgspec.Struct, kw_only=True):
    """`ok` unless something fails; warnings are well enough for today."""

    ok: bool
    findings: list[Finding]


async def no_doctor() -> bytes:
    """Where nobody has said how to ask one."""
    return b""


def environ_of(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings as the environment that only their own user can read: a role has none of its
    own, and without them another store would be looked at than the one that is served.
    """
    told = {}
    for field in Settings.model_fields:
        value = getattr(settings, field)
        if value is not None:
            clear = value.get_secret_value() if isinstance(value, SecretStr) else value
            told[names_of(field)[0]] = str(clear)
    return {**environ, **told}


def doctor_of(settings: Settings) -> Callable[[], Awaitable[bytes]]:
    """Runs the command beside this server, with its settings; what it prints as JSON."""

    async def run() -> bytes:
        command = (sys.executable, "-c", _RUN, "doctor", "--json")
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=nothing,
            stdout=pipe,
            stderr=nothing,
            env=environ_of(settings, os.environ),
        )
        try:
            async with asyncio.timeout(TIME_S):
                said, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Refusal(Code.OVERLOADED, "doctor took too long; try again") from None
        return said

    return run


def read_diagnosis(said: bytes, language: str) -> Diagnosis:
    try:
        diagnosis = msgspec.json.decode(said, type=Diagnosis)
    except msgspec.DecodeError as error:
        message = "doctor said nothing; run `tallygate doctor` on the server"
        raise Refusal(Code.OVERLOADED, message) from error
    for one in diagnosis.findings:
        one.title = subject_of(one.subject, language)
        one.text = worded(one.code, one.values, language) or one.text
    return diagnosis
