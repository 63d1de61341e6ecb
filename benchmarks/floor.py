"""The floor: the least that could be called an agent, a loop around httpx. Run by path, with any interpreter."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

SYSTEM = "You are a coding agent. Work with the tools until the task is done, then say what you did. " * 4
PARAMETERS = {
    "read": {"path": {"type": "string", "description": "Path of the file."}},
    "shell": {"command": {"type": "string", "description": "The command line."}},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Use {name} on the workspace.",
            "parameters": {"type": "object", "properties": fields, "required": list(fields)},
        },
    }
    for name, fields in PARAMETERS.items()
]


def ask(client: httpx.Client, url: str, messages: list[Any], spent: Counter[str]) -> dict[str, Any]:
    """Ask once and return the assistant message."""
    body: dict[str, Any] = {"model": "any", "stream": True, "messages": messages, "tools": TOOLS}
    body["stream_options"] = {"include_usage": True}
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    with client.stream("POST", url, json=body, headers={"authorization": "Bearer k"}) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                take(json.loads(line[6:]), text, calls, spent)
    return {"role": "assistant", "content": "".join(text) or None, **({"tool_calls": calls} if calls else {})}


def take(chunk: dict[str, Any], text: list[str], calls: list[dict[str, Any]], spent: Counter[str]) -> None:
    """Add what a chunk brings."""
    if usage := chunk.get("usage"):
        details: dict[str, int] = usage.get("prompt_tokens_details", {})
        spent.update(input_tokens=usage["prompt_tokens"], cached_input_tokens=details.get("cached_tokens", 0))
    for choice in chunk["choices"]:
        delta = choice["delta"]
        text.append(delta.get("content") or "")
        for part in delta.get("tool_calls") or ():
            if part["index"] == len(calls):
                calls.append({
                    "id": part["id"],
                    "type": "function",
                    "function": {"name": "", "arguments": ""},
                })
            for key, value in part["function"].items():
                calls[part["index"]]["function"][key] += value


def answer(call: dict[str, Any], folder: Path) -> dict[str, str]:
    """Run one call and return its result message."""
    arguments = json.loads(call["function"]["arguments"])
    if "path" in arguments:
        said = (folder / arguments["path"]).read_text(encoding="utf-8")
    else:
        done = subprocess.run(["/bin/sh", "-c", arguments["command"]], capture_output=True, text=True)
        said = done.stdout or f"exit code {done.returncode}"
    return {"role": "tool", "tool_call_id": call["id"], "content": said}


def main(url: str, folder: str) -> None:
    """Go on until the model calls nothing."""
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Do it."}]
    spent: Counter[str] = Counter()
    nothing = ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # reading certificates would be the larger part of the start
    with httpx.Client(trust_env=False, timeout=60, verify=nothing) as client, ThreadPoolExecutor(8) as pool:
        while True:
            messages.append(ask(client, f"{url}/v1/chat/completions", messages, spent))
            calls: list[dict[str, Any]] = messages[-1].get("tool_calls", [])
            if not calls:
                break
            messages += pool.map(answer, calls, [Path(folder)] * len(calls))
    sys.stdout.write(json.dumps({"usage": spent}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
