"""`treadle cost`: what a session did cost, request by request, and what one would."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from treadle.agent.build.cost import Offer, offers, prices_of
from treadle.agent.build.opening import Opening, WorkspaceError
from treadle.agent.cache.estimate import Course
from treadle.agent.cache.ledger import Line, ledger
from treadle.agent.config import Config, ConfigError, environment, folders, load
from treadle.agent.frontends.items import usage_object
from treadle.agent.frontends.outcome import EXIT
from treadle.agent.frontends.outputs import OutputClosed, as_line, complain, emit, harmless
from treadle.agent.frontends.sessions import branch_of, told_plainly
from treadle.agent.log import load as load_log
from treadle.agent.messages import Usage
from treadle.agent.providers.contract import ProviderError
from treadle.agent.sessions import find
from treadle.sandbox.contract import SandboxError
from treadle.tools.contract import JsonObject, as_object

REQUESTS = ("entry", "kind", "model", "read", "written", "fresh", "output", "up", "down", "usd")
OFFERS = ("model", "lane", "first", "read", "written", "fresh", "output", "usd")


def report(session: str, *, as_json: bool) -> int:
    """Tell what a session cost: a JSON object a request and one for all, or a table."""

    def tell() -> int:
        places = folders(environment())
        entries = branch_of(load_log(find(places.sessions, session)).entries)
        found = ledger(entries, prices_of(load(environment(), {})))
        total = _total(found)
        if as_json:
            for line in found:
                emit(as_line(_told(line)))
            emit(as_line(total))
            return EXIT["done"]
        below = [
            (f"missed {line.missed.tokens}: {line.missed.words}" + _dollars(line.missed.cost))
            if line.missed
            else ""
            for line in found
        ]
        _show(REQUESTS, [_row(line) for line in found], below)
        emit(
            f"{total['requests']} requests, {total['read']} tokens read, {total['written']} written, {total['fresh']} fresh, "
            f"{total['output']} output; {total['up']} bytes up, {total['down']} down; {_money(total['cost_usd'])}"
        )
        if total["misses"]:
            emit(f"{total['misses']} misses: {total['missed']} tokens{_dollars(total['missed_usd'])}")
        return EXIT["done"]

    try:
        return told_plainly(tell)
    except ConfigError as error:
        complain(f"treadle: {error}")
        return EXIT["usage"]


def plan(job: str, models: Sequence[str], folder: Path, *, as_json: bool, **course: float) -> int:
    """Tell what a job would cost with each model."""
    try:
        env = environment()
        config: Config = load(env, {})
        chosen = models or [name.strip() for name in (config.model or "").split(",") if name.strip()]
        if not chosen:
            raise ConfigError("no model is chosen: give -m VENDOR/MODEL, or set model in the config file")
        opening = Opening(folder, config, env, folders(env), ephemeral=True)
        course_ = Course(int(course["steps"]), int(course["grows"]), int(course["said"]), course["gap"])
        found = list(offers(opening, chosen, _jobs(job), course_))
        if as_json:
            for offer in found:
                emit(as_line(_offered(offer)))
        else:
            _show(OFFERS, [_offer_row(offer) for offer in found], [""] * len(found))
    except (ConfigError, WorkspaceError, ProviderError, ValueError) as error:
        complain(f"treadle: {error}")
        return EXIT["usage"]
    except (SandboxError, OSError) as error:
        complain(f"treadle: {error}")
        return EXIT["failed"]
    except OutputClosed:
        return EXIT["failed"]
    return EXIT["done"]


def _jobs(job: str) -> list[str]:
    """Return the prompts of a job. Raises ValueError that names the line that is none."""
    file = Path(job)
    if file.suffix != ".jsonl":
        return [job]
    prompts: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        prompt = (as_object(value) or {}).get("prompt", value)
        if not isinstance(prompt, str):
            raise ValueError(f"{job}: line {number} is neither a prompt nor an object with one")
        prompts.append(prompt)
    if not prompts:
        raise ValueError(f"{job}: there is no job in it")
    return prompts


def _told(line: Line) -> JsonObject:
    missed = line.missed
    forecast = line.forecast
    return {
        "entry": line.entry,
        "kind": line.kind,
        "at": line.at.isoformat(),
        "model": line.model,
        **_tokens(line.usage),
        "up": line.up,
        "down": line.down,
        "cost_usd": line.cost,
        "predicted": None
        if forecast is None
        else {"read": forecast.read, "written": forecast.write.total, "fresh": forecast.fresh},
        "missed": None
        if missed is None
        else {
            "tokens": missed.tokens,
            "cause": missed.cause or "not_held",
            "where": missed.where,
            "said": missed.said,
            "cost_usd": missed.cost,
        },
    }


def _tokens(usage: Usage) -> JsonObject:
    return {
        "read": usage.cache_read,
        "written": usage.cache_write.total,
        "fresh": usage.input,
        "output": usage.output,
    }


def _total(found: Sequence[Line]) -> JsonObject:
    usage, costs = Usage(), [line.cost for line in found]
    for line in found:
        usage += line.usage
    missed = [line.missed for line in found if line.missed]
    return {
        "requests": len(found),
        **_tokens(usage),
        "usage": usage_object(usage),
        "up": sum(line.up for line in found),
        "down": sum(line.down for line in found),
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost is not None),
        "misses": len(missed),
        "missed": sum(each.tokens for each in missed),
        "missed_usd": sum(each.cost or 0.0 for each in missed),
    }


def _row(line: Line) -> tuple[str, ...]:
    usage = line.usage
    figures = (usage.cache_read, usage.cache_write.total, usage.input, usage.output, line.up, line.down)
    return (line.entry, line.kind, line.model, *map(str, figures), _figure(line.cost))


def _offered(offer: Offer) -> JsonObject:
    return {
        "model": offer.model,
        "lane": offer.lane,
        "first": offer.first,
        **_tokens(offer.estimate.usage),
        "cost_usd": offer.estimate.cost,
    }


def _offer_row(offer: Offer) -> tuple[str, ...]:
    usage = offer.estimate.usage
    figures = (offer.first, usage.cache_read, usage.cache_write.total, usage.input, usage.output)
    return (offer.model, offer.lane, *map(str, figures), _figure(offer.estimate.cost))


def _figure(cost: float | None) -> str:
    return "-" if cost is None else f"{cost:.4f}"


def _money(cost: object) -> str:
    return "at no known price" if cost is None else f"${cast('float', cost):.4f}"


def _dollars(cost: object) -> str:
    return "" if cost is None else f", ${cast('float', cost):.4f} more than reading them"


def _show(columns: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str]) -> None:
    """Show a table at a terminal, lines with tabs elsewhere; a text that belongs to a row stands below it."""
    if sys.stdout is None or not sys.stdout.isatty():
        for row, text in zip([columns, *rows], ["", *below], strict=True):
            emit(harmless("\t".join(row)))
            if text:
                emit(harmless(f"  {text}"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        left = name in {"entry", "kind", "model", "lane"}
        table.add_column(name, justify="left" if left else "right", no_wrap=name == "model")
    for row, text in zip(rows, below, strict=True):
        table.add_row(*row)
        if text:
            table.add_row("", "", harmless(text), style="dim")
    Console().print(table)
