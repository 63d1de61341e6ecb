"""Three file stores, by their vendors' own clients: kept, listed, named in requests, expired, forgotten, deleted."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors, types
from openai.types.chat.chat_completion_content_part_param import File
from openai.types.responses import ResponseInputFileParam

from treadle.agent.mock.jsontext import JsonObject
from treadle.agent.mock.server import Mock

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Mock]]
TEN = "".join(["steps: [", ", ".join(["{text: ok}"] * 10), "]\n"])


def gpt(mock: Mock) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="k", base_url=f"{mock.url}/v1", max_retries=0)


def claude(mock: Mock) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="k", base_url=mock.url, max_retries=0)


@asynccontextmanager
async def gemini(mock: Mock) -> AsyncGenerator[genai.client.AsyncClient]:
    whole = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=mock.url))
    async with whole.aio as opened:
        yield opened
    whole.close()


async def test_openai_keeps_a_file_until_it_is_deleted(play: Play) -> None:
    mock = await play(TEN)
    async with gpt(mock) as client:
        file = await client.files.create(
            file=('a "b".txt', b"one\r\n--two"),
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert (file.bytes, file.filename, file.purpose) == (10, 'a "b".txt', "batch")
        assert file.expires_at == file.created_at + 3600
        assert (await client.files.retrieve(file.id)) == file
        assert (await client.files.content(file.id)).content == b"one\r\n--two"
        assert mock.report()["stored"] == {
            "files": {"openai": [file.id], "anthropic": [], "gemini": []},
            "responses": [],
            "conversations": [],
            "interactions": [],
        }
        assert (await client.files.delete(file.id)).deleted
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {file.id}"):
            await client.files.retrieve(file.id)


async def test_openai_lists_files_page_by_page(play: Play) -> None:
    async with gpt(await play(TEN)) as client:
        ids = [(await client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data")).id for n in range(5)]
        await client.files.create(file=("b.jsonl", b"x"), purpose="batch")
        first = await client.files.list(limit=2, order="asc", purpose="user_data")
        assert ([file.id for file in first.data], first.has_more) == (ids[:2], True)
        assert [file.id async for file in first] == ids
        assert [file.id async for file in client.files.list(limit=3, purpose="user_data")] == ids[::-1]


async def test_openai_refuses_to_give_out_what_a_user_gave(play: Play) -> None:
    async with gpt(await play(TEN)) as client:
        file = await client.files.create(file=("a.pdf", b"x"), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="Not allowed to download files of purpose"):
            await client.files.content(file.id)


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({}, {"purpose": "batch"}),
        ({"file": ("a", b"x")}, {}),
        ({"file": ("a", b"x")}, {"purpose": "joy"}),
        ({"file": ("a", b"x")}, {"purpose": "batch", "boom": "1"}),
        ({"file": ("a", b"")}, {"purpose": "batch"}),
        ({"file": ("a", b"x")}, {"purpose": "batch", "expires_after[seconds]": "3600"}),
        (
            {"file": ("a", b"x")},
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "1"},
        ),
    ],
)
async def test_openai_refuses_an_upload_that_is_not_right(
    play: Play, files: dict[str, tuple[str, bytes]], data: dict[str, str]
) -> None:
    mock = await play(TEN)
    async with httpx.AsyncClient(headers={"authorization": "Bearer k"}) as http:
        reply = await http.post(f"{mock.url}/v1/files", files=files or {"other": ("a", b"x")}, data=data)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


async def by_responses(client: openai.AsyncOpenAI, name: str) -> None:
    part: ResponseInputFileParam = {"type": "input_file", "file_id": name}
    await client.responses.create(model="m", input=[{"role": "user", "content": [part]}])


async def by_chat(client: openai.AsyncOpenAI, name: str) -> None:
    part: File = {"type": "file", "file": {"file_id": name}}
    await client.chat.completions.create(model="m", messages=[{"role": "user", "content": [part]}])


@pytest.mark.parametrize("ask", [by_responses, by_chat])
async def test_a_request_reads_a_file_that_is_there_and_no_other(
    play: Play, ask: Callable[[openai.AsyncOpenAI, str], Awaitable[None]]
) -> None:
    async with gpt(await play(TEN)) as client:
        file = await client.files.create(file=("a.pdf", b"x"), purpose="user_data")
        await ask(client, file.id)
        with pytest.raises(openai.BadRequestError, match="No such File object: file-gone"):
            await ask(client, "file-gone")


async def test_a_file_that_is_forgotten_at_a_step_is_refused_and_gone(play: Play) -> None:
    mock = await play("steps: [{text: ok, faults: [{forget: file}]}]")
    async with gpt(mock) as client:
        file = await client.files.create(file=("a.png", b"x"), purpose="vision")
        for _ in range(2):
            with pytest.raises(openai.BadRequestError, match=file.id):
                await client.responses.create(
                    model="m",
                    input=[
                        {
                            "role": "user",
                            "content": [{"type": "input_image", "file_id": file.id, "detail": "auto"}],
                        }
                    ],
                )
        assert (await client.responses.create(model="m", input="hi")).output_text == "ok"
    assert mock.report()["totals"] == totals(mock, generations=1)


def totals(mock: Mock, *, generations: int) -> JsonObject:
    told = mock.report()["totals"]
    assert isinstance(told, dict)
    return {**told, "generations": generations, "delivered": generations}


async def test_files_expire_by_the_clock(play: Play) -> None:
    mock = await play(TEN)
    async with gpt(mock) as client:
        file = await client.files.create(file=("a", b"x"), purpose="batch")
        mock.clock.advance(30 * 86_400)
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(file.id)


async def test_anthropic_keeps_a_file_until_it_is_deleted(play: Play) -> None:
    mock = await play(TEN)
    async with claude(mock) as client:
        file = await client.files.upload(
            file=("d/a.pdf", b"%PDF", "application/pdf"), expires_in_seconds=3600
        )
        assert (file.filename, file.mime_type, file.size_bytes, file.downloadable) == (
            "a.pdf",
            "application/pdf",
            4,
            False,
        )
        assert file.expires_at is not None
        assert (file.expires_at - file.created_at).total_seconds() == 3600
        assert (await client.files.retrieve_metadata(file.id)) == file
        block: anthropic.types.DocumentBlockParam = {
            "type": "document",
            "source": {"type": "file", "file_id": file.id},
        }
        ask: list[anthropic.types.MessageParam] = [{"role": "user", "content": [block]}]
        await client.messages.create(model="m", max_tokens=9, messages=ask)
        with pytest.raises(anthropic.BadRequestError, match="not downloadable"):
            await client.files.download(file.id)
        assert (await client.files.delete(file.id)).type == "file_deleted"
        with pytest.raises(anthropic.NotFoundError, match=f"File not found: {file.id}"):
            await client.messages.create(model="m", max_tokens=9, messages=ask)


async def test_anthropic_lists_files_page_by_page(play: Play) -> None:
    async with claude(await play(TEN)) as client:
        ids = [(await client.files.upload(file=(f"{n}.txt", b"x", "text/plain"))).id for n in range(5)]
        assert [file.id async for file in client.files.list(limit=2)] == ids[::-1]
        assert [file.id async for file in client.files.list(ids=ids[1:3])] == [ids[2], ids[1]]


async def test_anthropic_of_before_asks_for_its_beta_header(play: Play) -> None:
    mock = await play(TEN)
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(headers=headers, base_url=mock.url) as http:
        refused = await http.get("/v1/files")
        assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")
        beta = {"anthropic-beta": "files-api-2025-04-14"}
        ids = [
            (await http.post("/v1/files", files={"file": (f"{n}", b"x")}, headers=beta)).json()["id"]
            for n in range(3)
        ]
        page = (await http.get("/v1/files", params={"limit": 2}, headers=beta)).json()
        assert (page["has_more"], page["first_id"], page["last_id"]) == (True, ids[2], ids[1])
        rest = (await http.get("/v1/files", params={"after_id": page["last_id"]}, headers=beta)).json()
        assert ([file["id"] for file in rest["data"]], rest["has_more"]) == ([ids[0]], False)


async def test_gemini_works_on_a_file_before_it_can_be_used(play: Play) -> None:
    mock = await play(f"{TEN}files: {{polls: 2}}")
    async with gemini(mock) as client:
        config = types.UploadFileConfig(mime_type="image/png", display_name="a.png")
        file = await client.files.upload(file=io.BytesIO(b"png"), config=config)
        assert file.name is not None
        assert file.uri is not None
        assert file.uri == f"{mock.url}/v1/{file.name}"
        assert (file.display_name, file.size_bytes, file.state) == (
            "a.png",
            3,
            types.FileState.PROCESSING,
        )
        part = types.Part.from_uri(file_uri=file.uri, mime_type="image/png")
        with pytest.raises(errors.ClientError, match="not in an ACTIVE state"):
            await client.models.generate_content(model="m", contents=[part])
        states = [(await client.files.get(name=file.name)).state for _ in range(3)]
        assert states == [types.FileState.PROCESSING, types.FileState.PROCESSING, types.FileState.ACTIVE]
        assert (await client.models.generate_content(model="m", contents=[part])).text == "ok"
        await client.files.delete(name=file.name)
        with pytest.raises(errors.ClientError, match="do not have permission") as caught:
            await client.models.generate_content(model="m", contents=[part])
        assert (caught.value.code, caught.value.status) == (403, "PERMISSION_DENIED")


async def test_gemini_lists_files_page_by_page_and_drops_them_after_two_days(play: Play) -> None:
    mock = await play(TEN)
    async with gemini(mock) as client:
        config = types.UploadFileConfig(mime_type="text/plain")
        names = [(await client.files.upload(file=io.BytesIO(b"x"), config=config)).name for _ in range(5)]
        pager = await client.files.list(config={"page_size": 2})
        assert [file.name async for file in pager] == names[::-1]
        mock.clock.advance(48 * 3600)
        assert [file.name async for file in await client.files.list()] == []


async def test_gemini_takes_an_upload_in_pieces_or_all_at_once(play: Play) -> None:
    mock = await play(TEN)
    async with httpx.AsyncClient(base_url=mock.url, headers={"x-goog-api-key": "k"}) as http:
        start = await http.post(
            "/upload/v1beta/files",
            json={"file": {"display_name": "a"}},
            headers={
                "x-goog-upload-protocol": "resumable",
                "x-goog-upload-command": "start",
                "x-goog-upload-header-content-length": "4",
                "x-goog-upload-header-content-type": "text/plain",
            },
        )
        url = start.headers["x-goog-upload-url"]
        for offset, piece, command in ((0, b"ab", "upload"), (2, b"cd", "upload, finalize")):
            head = {"x-goog-upload-offset": str(offset), "x-goog-upload-command": command}
            sent = await http.post(url, content=piece, headers=head)
        file = sent.json()["file"]
        assert (sent.headers["x-goog-upload-status"], file["sizeBytes"], file["displayName"]) == (
            "final",
            "4",
            "a",
        )
        assert file["uri"].startswith(f"{mock.url}/v1beta/files/")
        again = await http.post(url, content=b"", headers={"x-goog-upload-command": "query"})
        assert again.status_code == 404
        related = b'--b\r\ncontent-type: application/json\r\n\r\n{"file": {"displayName": "c"}}\r\n'
        related += b"--b\r\ncontent-type: text/plain\r\n\r\nhello\r\n--b--"
        kind = {"content-type": "multipart/related; boundary=b", "x-goog-upload-protocol": "multipart"}
        whole = await http.post("/upload/v1/files", content=related, headers=kind)
        assert (whole.json()["file"]["displayName"], whole.json()["file"]["mimeType"]) == ("c", "text/plain")


async def test_a_file_that_is_too_large_is_refused_as_its_vendor_does(play: Play) -> None:
    mock = await play(f"{TEN}limits: {{file_bytes: 1000}}")
    big = b"x" * 2000
    async with gpt(mock) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.files.create(file=("a", big), purpose="batch")
        assert refused.value.status_code == 413
    async with claude(mock) as client:
        with pytest.raises(anthropic.RequestTooLargeError):
            await client.files.upload(file=("a", big))
