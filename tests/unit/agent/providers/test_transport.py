from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import certifi
import pytest
from anyio.abc import SocketAttribute
from unit.agent.providers.raw import END, HEAD, Server, Step, chunk, serving, whole

from treadle.agent.providers.contract import (
    FormPart,
    HttpCall,
    InvalidRequest,
    ProviderError,
    StreamCutShort,
    Undecodable,
    Unreachable,
)
from treadle.agent.providers.transport import Address, Timeouts, Transport, tls_context

pytestmark = pytest.mark.anyio
CALL = HttpCall("POST", "/chat", b'{"a":1}', stream=True)
QUICK = Timeouts(connect=0.5, first_byte=0.05, idle=0.05)


@asynccontextmanager
async def talking(
    *answers: Sequence[Step], timeouts: Timeouts | None = None, max_bytes: int = 1 << 20
) -> AsyncGenerator[tuple[Server, Transport]]:
    with anyio.fail_after(5):
        async with serving(*answers) as server:
            transport = Transport(Address(server.url, {}), timeouts, max_bytes=max_bytes)
            yield server, transport
            await transport.aclose()


async def outcome(transport: Transport) -> bytes | ProviderError:
    try:
        async with transport.send(CALL) as reply:
            return await reply.body()
    except ProviderError as error:
        return error


async def test_a_call_goes_out_as_it_is_with_the_headers_of_its_place() -> None:
    with anyio.fail_after(5):
        async with serving([whole(200, b"ok", "X-Request-Id: r1")]) as server:
            transport = Transport(
                Address(server.url + "?api-version=v1", {"Authorization": "Bearer k", "x-a": "1"})
            )
            call = HttpCall("POST", "/chat", b"{}", query={"alt": "s se"}, headers={"X-A": "2"}, stream=True)
            async with transport.send(call) as reply:
                assert (reply.status, reply.headers["x-request-id"]) == (200, "r1")
                assert await reply.body() == b"ok"
            await transport.aclose()
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        headers = [f"{name.lower()}:{value}" for name, _, value in (one.partition(":") for one in headers)]
        assert (line, body) == ("POST /v1/chat?api-version=v1&alt=s+se HTTP/1.1", b"{}")
        assert sorted(headers) == [
            "accept-encoding: identity",
            "accept: text/event-stream",
            "authorization: Bearer k",
            "content-length: 2",
            "content-type: application/json",
            f"host: {server.url.split('/')[2]}",
            "x-a: 2",
        ]


async def test_a_form_goes_out_with_its_files() -> None:
    with anyio.fail_after(5):
        async with serving([whole(200, b"{}")]) as server:
            transport = Transport(Address(server.url, {}))
            parts = (FormPart("purpose", b"batch"), FormPart("file", b"\x00\n", 'a"b\n.jsonl', "text/plain"))
            async with transport.send(HttpCall("POST", "/files", multipart=parts)) as reply:
                assert reply.status == 200
            await transport.aclose()
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        boundary = head.partition(b"boundary=")[2].split(b"\r\n")[0]
        assert body == (
            b'--%b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a%%22b%%0A.jsonl"\r\n'
            b"Content-Type: text/plain\r\n\r\n\x00\n\r\n--%b--\r\n"
        ) % (boundary, boundary, boundary)


async def test_two_calls_share_one_connection_even_after_an_error() -> None:
    answers = ([whole(500, b"no")], [HEAD, chunk(b"x"), END], [whole(200, b"")])
    async with talking(*answers) as (server, transport):
        assert [await outcome(transport) for _ in answers] == [b"no", b"x", b""]
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_body_that_was_not_read_out_costs_its_connection_and_nothing_else() -> None:
    async with talking([HEAD, chunk(b"x"), "hold"], [whole(200, b"ok")]) as (server, transport):
        async with transport.send(CALL):
            pass
        await server.left.wait()
        assert await outcome(transport) == b"ok"
        assert server.connections == 2


async def test_a_cancelled_read_ends_at_once_and_closes_the_connection() -> None:
    async with talking([HEAD, chunk(b"x"), "hold"]) as (server, transport):
        with anyio.CancelScope() as scope:
            async with transport.send(CALL) as reply:
                chunks = reply.chunks()
                assert await anext(chunks) == b"x"
                scope.cancel()
                await anext(chunks)
        assert scope.cancelled_caught
        await server.left.wait()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (["hold"], Unreachable, "nothing in time (read)"),
        ([HEAD[:20], "hold"], Unreachable, "nothing in time (read)"),
        (["close"], Unreachable, "no proper answer (read)"),
        (["reset"], Unreachable, "broke off without an answer (read)"),
        ([b"SSH-2.0-x\r\n", "close"], Unreachable, "no proper answer (read)"),
        ([HEAD, "hold"], Unreachable, "silent for 0.05 s"),
        ([HEAD, chunk(b"x"), "hold"], Unreachable, "silent for 0.05 s"),
        ([HEAD, chunk(b"x"), "close"], StreamCutShort, "broke"),
        ([HEAD, chunk(b"x"), "reset"], StreamCutShort, "broke"),
        ([HEAD, b"zz\r\n"], StreamCutShort, "broke"),
        ([whole(200, b"x" * 10)[:-5], "close"], StreamCutShort, "broke"),
        ([whole(200, b"x" * 2000)], Undecodable, "larger than 1000"),
    ],
)
async def test_each_way_to_fail_is_told_by_its_phase(
    answer: Sequence[Step], kind: type[Exception], words: str
) -> None:
    async with talking(answer, timeouts=QUICK, max_bytes=1000) as (_, transport):
        error = await outcome(transport)
        assert type(error) is kind
        assert words in str(error)


async def test_a_drip_is_not_silence() -> None:
    drip: list[Step] = [chunk(b":\n"), 0.06] * 3
    async with talking([HEAD, *drip, END], timeouts=Timeouts(idle=0.12)) as (_, transport):
        assert await outcome(transport) == b":\n" * 3


async def test_a_port_where_nobody_listens_is_said_with_its_address() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    await listener.aclose()
    transport = Transport(Address(f"http://127.0.0.1:{port}/v1", {}))
    with anyio.fail_after(5), pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port}.*connect"):
        async with transport.send(CALL):
            pass
    await transport.aclose()


async def test_a_server_that_refuses_a_large_request_early_is_heard() -> None:
    call = HttpCall("POST", "/chat", b"x" * 8_000_000)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def refuse(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive(1000)
            await stream.send(whole(413, b"too large", "connection: close"))
            with anyio.move_on_after(1):
                while True:
                    await stream.receive()

    with anyio.fail_after(5):
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, refuse)
            transport = Transport(
                Address(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", {})
            )
            async with transport.send(call) as reply:
                assert (reply.status, await reply.error_body()) == (413, b"too large")
            await transport.aclose()
            group.cancel_scope.cancel()


async def test_of_an_errors_body_no_more_than_a_megabyte_is_kept_and_less_when_it_breaks() -> None:
    answers: list[list[Step]] = [[whole(500, b"x" * 3_000_000)], [HEAD, chunk(b"half"), "close"]]
    async with talking(*answers, max_bytes=1 << 30) as (_, transport):
        async with transport.send(CALL) as reply:
            assert len(await reply.error_body()) == 1 << 20
        async with transport.send(CALL) as reply:
            assert await reply.error_body() == b"half"


async def test_a_proxy_is_asked_for_the_whole_address() -> None:
    with anyio.fail_after(5):
        async with serving([whole(200, b"ok")]) as server:
            proxy = server.url.removesuffix("/v1").replace("http://", "http://u:p@")
            transport = Transport(Address("http://model.invalid/v1", {}, proxy))
            async with transport.send(CALL) as reply:
                assert await reply.body() == b"ok"
            await transport.aclose()
        assert server.requests[0].startswith(b"POST http://model.invalid/v1/chat HTTP/1.1\r\n")
        assert b"proxy-authorization: basic dTpw" in server.requests[0].lower().replace(b"dtpw", b"dTpw")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("", {"x-a": "b\r\nx-c: d"}),
        ("", {"x-a": "\u2603"}),
        ("", {"x a": "b"}),
        ("/\u2603", {}),
    ],
)
async def test_what_http_cannot_carry_is_not_sent(path: str, headers: dict[str, str]) -> None:
    async with talking([whole(200, b"")]) as (server, _):
        transport = Transport(Address(server.url + path, headers))
        assert type(await outcome(transport)) is InvalidRequest
        await transport.aclose()
        assert server.requests == []


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a b", "/a\r\nx: y", "/a\x7f"])
async def test_a_path_that_could_lead_elsewhere_is_not_sent(path: str) -> None:
    transport = Transport(Address("http://127.0.0.1:1/v1", {}))
    with pytest.raises(InvalidRequest):
        async with transport.send(HttpCall("GET", path)):
            pass


async def test_a_server_that_cannot_prove_who_it_is_is_sent_nothing() -> None:
    async with serving(["hold"]) as server:
        transport = Transport(
            Address(server.url.replace("http", "https"), {"authorization": "Bearer k"}), QUICK
        )
        with anyio.fail_after(5), pytest.raises(Unreachable, match="connect"):
            async with transport.send(CALL):
                pass
        await transport.aclose()
    assert server.requests == []


def test_httpx_comes_without_its_command_line_which_stays_there_for_others() -> None:
    code = (
        "import sys; from treadle.agent.providers.httpx_alone import httpx; "
        "assert callable(httpx.main) and not {'rich', 'pygments', 'click'} & sys.modules.keys(); "
        "import httpx._main; assert httpx._main.main.name == 'main'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def paths(cafile: str, capath: str, usual: str = "/usual.pem") -> ssl.DefaultVerifyPaths:
    return ssl.DefaultVerifyPaths(cafile, capath, "SSL_CERT_FILE", usual, "SSL_CERT_DIR", "/usual")


def test_certificates_are_verified_and_their_folder_is_read_when_needed(tmp_path: Path) -> None:
    bundle = certifi.where()
    assert tls_context(paths("", "")).get_ca_certs()
    assert tls_context(paths(bundle, str(tmp_path), usual=bundle)).get_ca_certs()
    (tmp_path / "0a1b2c3d.0").write_text("", encoding="ascii")
    assert not tls_context(paths(bundle, str(tmp_path), usual=bundle)).get_ca_certs()
    assert tls_context(paths(bundle, str(tmp_path))).get_ca_certs()
    context = tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
