"""tallygate usage …: charts of what is used, as tables for people and as JSON."""

import typer

from tallygate.cli import options, output
from tallygate.cli.usage_questions import (
    FIGURES,
    By,
    Days,
    Hours,
    Model,
    Route,
    Team,
    Token,
    ask,
    figures,
    or_blank,
)
from tallygate.control import usage_charts, usage_tops

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHADES = " ·░▒▓█"


def add_to(app: typer.Typer) -> None:
    for command in (overview, series, heatmap, latency, errors, hot):
        app.command()(command)


def series(
    days: Days = None,
    hours: Hours = None,
    by: By = None,
    team: Team = None,
    token: Token = None,
    route: Route = None,
    model: Model = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Uses, errors, tokens, points and durations by hour or day."""
    given = {"days": days, "hours": hours, "by": by, "team": team, "token": token}
    asked = {**given, "route": route, "model": model}
    found = ask(data, asked, usage_charts.series)
    if as_json:
        output.print_json(found)
        return
    rows = [(one.label, *figures(one), one.p95_ms or "") for one in found.items]
    output.print_table((found.by, *FIGURES, "p95 ms"), rows, "nothing")
    output.print_line(f"{found.total.uses} uses, {found.zone}")


def heatmap(
    days: Days = None,
    team: Team = None,
    token: Token = None,
    route: Route = None,
    model: Model = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Uses by weekday and hour, and the busiest hours; of 28 days if not said."""
    given = {"days": days or 28, "team": team, "token": token, "route": route, "model": model}
    found = ask(data, given, usage_charts.heatmap)
    if as_json:
        output.print_json(found)
        return
    most = max(max(day) for day in found.cells) or 1
    output.print_line("     " + "".join(f"{hour:<3}" for hour in range(24)))
    for name, day in zip(WEEKDAYS, found.cells, strict=True):
        shades = (SHADES[-(-uses * (len(SHADES) - 1) // most)] for uses in day)
        output.print_line(f"{name}  " + "".join(shade * 2 + " " for shade in shades))
    for one in found.busiest:
        output.print_line(f"{WEEKDAYS[one.weekday]} {one.hour:02}:00  {one.uses} uses")


def latency(
    days: Days = None,
    hours: Hours = None,
    team: Team = None,
    token: Token = None,
    route: Route = None,
    model: Model = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Percentiles of durations, of everything, of each route and of each model."""
    given = {"days": days, "hours": hours, "team": team, "token": token, "route": route}
    found = ask(data, {**given, "model": model}, usage_charts.latencies)
    if as_json:
        output.print_json(found)
        return
    named = [("everything", found.overall)]
    named += [(one.name, one) for one in (*found.routes, *found.models)]
    rows = [
        (
            name,
            one.timed,
            *(or_blank(ms) for ms in (one.mean_ms, one.p50_ms, one.p95_ms)),
            one.p99_ms,
        )
        for name, one in named
        if one.timed
    ]
    output.print_table(("of", "uses", "mean ms", "p50", "p95", "p99"), rows, "nothing was used")


def errors(
    days: Days = None,
    hours: Hours = None,
    team: Team = None,
    token: Token = None,
    route: Route = None,
    model: Model = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Error rates, and where most errors are."""
    given = {"days": days, "hours": hours, "team": team, "token": token, "route": route}
    found = ask(data, {**given, "model": model}, usage_charts.errors)
    if as_json:
        output.print_json(found)
        return
    named = [("everything", found.overall)]
    named += [(one.name, one) for one in (*found.routes, *found.models)]
    named += [(one.token.label or one.token.masked, one) for one in found.tokens]
    rows = [
        (
            name,
            one.uses,
            f"{one.error_rate:.2%}",
            one.client_errors,
            one.server_errors,
            one.failures,
        )
        for name, one in named
    ]
    output.print_table(("of", "uses", "rate", "4xx", "5xx", "no answer"), rows, "nothing")


def overview(data: options.Data = None, as_json: options.Json = False) -> None:
    """Today, the week, and what is used most."""
    found = ask(data, {}, usage_tops.overview)
    if as_json:
        output.print_json(found)
        return
    rows = [(one.label, *figures(one)) for one in found.trend]
    output.print_table(("day", *FIGURES), rows, "nothing")
    names = ", ".join(one.token.label or one.token.masked for one in found.top_tokens)
    output.print_line(f"{found.active_keys} keys in use today: {names or 'none'}")


def hot(data: options.Data = None, as_json: options.Json = False) -> None:
    """The routes that are used right now: in the last minute."""
    found = ask(data, {}, usage_tops.hot)
    if as_json:
        output.print_json(found)
        return
    rows = [(one.route, one.uses, one.per_second, one.errors) for one in found.items]
    output.print_table(("route", "uses", "a second", "errors"), rows, "nothing in the last minute")
