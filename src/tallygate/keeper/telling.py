"""A run as its operator reads it: progress, verdicts, statistics."""

import logging
from typing import Any

from tallygate.keeper.lines import Lines
from tallygate.keeper.run import End, Listener, Report, Tally
from tallygate.keeper.wording import BAOMING, LINE, RULE, Wording
from tallygate.store.credential_checks import Choice
from tallygate.store.keeper_runs import Run

DAY_MS = 86_400_000


class Telling(Listener):
    def __init__(self, lines: Lines, wording: Wording, grace_days: int) -> None:
        self._lines = lines
        self.wants_attempts = lines.is_verbose
        self._wording = wording
        self._grace_days = grace_days

    def say(self, key: str, level: int = logging.INFO, **values: Any) -> None:
        self._lines.write(self._wording.text(key, **values), level)

    def begins(self, run: Run, choices: list[Choice]) -> None:
        if run.is_joined:
            self.say("joined")
        self.found(choices)

    def open(self, choices_kinds: set[str]) -> None:
        self._lines.write(RULE)
        self.say("begin_baoming" if choices_kinds <= {BAOMING} else "begin")
        self._lines.write(RULE)

    def found(self, choices: list[Choice]) -> None:
        self.open({choice.kind for choice in choices})
        self.say("found", count=len(choices))
        self._lines.write(LINE)

    def head(self, number: int, total: int, choice: Choice) -> None:
        self.say("head", number=number, total=total, name=choice.name)
        self.say("user", user=choice.user)
        when = self._wording.text("never")
        if choice.last_used_ms is not None:
            when = self._lines.moment(choice.last_used_ms)
        self.say("used", when=when)

    def ended(self, number: int, total: int, report: Report) -> None:
        self.head(number, total, report.choice)
        for text in report.attempts:
            self.say("attempt", logging.DEBUG, text=text)
        match report.end:
            case End.REFRESHED:
                self.say("renewed" if report.is_new else "valid")
            case End.QUARANTINED:
                self.say("invalid", logging.WARNING, reason=report.reason)
                self.say("quarantined", days=self._grace_days)
            case End.DELETED:
                self.say("invalid", logging.WARNING, reason=report.reason)
                self.say("deleted")
            case End.FAILED:
                self.say("failed", logging.ERROR, reason=report.reason)
            case End.SKIPPED:
                self.say("skipped", reason=self._wording.text(report.reason))

    def statistics(self, tally: Tally, deleted: int) -> None:
        """`deleted` counts those whose time in quarantine was over, too."""
        ends = tally.ends
        self._lines.write(LINE)
        self.say("stats")
        self.say("total", count=tally.total)
        self.say("refreshed", count=ends[End.REFRESHED])
        self.say("failures", count=ends[End.FAILED])
        self.say("deletions", count=deleted)
        if ends[End.QUARANTINED]:
            self.say("quarantines", count=ends[End.QUARANTINED])
        if ends[End.SKIPPED]:
            self.say("skips", count=ends[End.SKIPPED])

    def would_refresh(self, choices: list[Choice]) -> None:
        self.found(choices)
        for number, choice in enumerate(choices, 1):
            self.head(number, len(choices), choice)
            self.say("would_refresh")
