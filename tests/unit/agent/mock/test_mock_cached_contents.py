"""Gemini's cached contents: made, read by their name, prolonged, deleted, and gone when their time is over."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from unit.agent.mock.conftest import Play

pytestmark = pytest.mark.anyio
MODEL = "gemini-3.8-flash"
BIG: Any = {"role": "user", "parts": [{"text": "x" * 40_000}]}
ASK: Any = {"role": "user", "parts": [{"text": "What is it?"}]}
SCRIPT = "clock: {still: true}\nsteps: [{text: An x.}]\nthen: repeat"


@asynccontextmanager
async def client(play: Play) -> AsyncGenerator[httpx.AsyncClient]:
    mock = await play(SCRIPT)
    async with httpx.AsyncClient(base_url=f"{mock.url}", headers={"x-goog-api-key": "k"}) as session:
        yield session


async def make(session: httpx.AsyncClient, **more: Any) -> httpx.Response:
    body = {"model": f"models/{MODEL}", "contents": [BIG], "systemInstruction": {"parts": [{"text": "Be."}]}}
    return await session.post("/v1beta/cachedContents", json={**body, **more})


async def ask(session: httpx.AsyncClient, name: str, **more: Any) -> httpx.Response:
    body = {"contents": [ASK], "cachedContent": name, **more}
    return await session.post(f"/v1beta/models/{MODEL}:generateContent", json=body)


async def test_cached_contents_are_read_by_their_name_and_nothing_else_is(play: Play) -> None:
    async with client(play) as session:
        made = (await make(session)).json()
        total = made["usageMetadata"]["totalTokenCount"]
        assert total > 10_000
        for _ in range(2):
            usage = (await ask(session, made["name"])).json()["usageMetadata"]
            assert usage["cachedContentTokenCount"] == total
            assert 0 < usage["promptTokenCount"] - total < 20
        for key, value in (
            ("systemInstruction", {"parts": [{"text": "Be."}]}),
            ("tools", [{"functionDeclarations": [{"name": "f"}]}]),
        ):
            refused = await ask(session, made["name"], **{key: value})
            assert (refused.status_code, key in refused.text) == (400, True)


async def test_cached_contents_go_when_their_time_is_over_or_they_are_deleted(play: Play) -> None:
    async with client(play) as session:
        name = (await make(session, ttl="60s")).json()["name"]
        await session.post("/_mock/clock", json={"advance": 50})
        longer = await session.patch(f"/v1beta/{name}?updateMask=ttl", json={"ttl": "100s"})
        assert longer.json()["name"] == name
        await session.post("/_mock/clock", json={"advance": 90})
        assert (await ask(session, name)).status_code == 200
        assert [
            one["name"] for one in (await session.get("/v1beta/cachedContents")).json()["cachedContents"]
        ] == [name]
        await session.post("/_mock/clock", json={"advance": 11})
        assert (await ask(session, name)).status_code == 403
        assert (await session.get(f"/v1beta/{name}")).status_code == 403
        other = (await make(session)).json()["name"]
        assert (await session.get(f"/v1beta/{other}")).json()["displayName"] == ""
        assert (await session.delete(f"/v1beta/{other}")).json() == {}
        assert (await session.get("/v1beta/cachedContents")).json() == {}


async def test_contents_that_are_too_small_or_for_another_model_are_refused(play: Play) -> None:
    async with client(play) as session:
        assert "too small" in (await make(session, contents=[ASK])).text
        assert (await make(session, ttl="an hour")).status_code == 400
        name = (await make(session, model="models/gemini-3.1-pro")).json()["name"]
        assert (await ask(session, name)).status_code == 400
