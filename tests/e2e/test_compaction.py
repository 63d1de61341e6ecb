from __future__ import annotations

import json

from e2e.conftest import Serve
from unit.agent.compaction.talk import NOTE

PRINTS = [{"shell": {"command": f"seq {first} 1500; cat src/old.py"}} for first in range(4)]
SCRIPT = json.dumps({"steps": [*({"calls": [call]} for call in PRINTS), {"text": NOTE}]})
TASK = "Rename Old in src/old.py. But keep the API stable!"


def test_a_run_makes_room_says_so_and_bills_it(serve: Serve) -> None:
    home, mock = serve(SCRIPT)
    (home.workspace / "src").mkdir()
    (home.workspace / "src/old.py").write_text("class Old: ...\n", encoding="utf-8")
    ran = home.run("-c", "context.compact_at=4000", "--max-tool-calls", "6", TASK)
    assert (ran.code, ran.result["limit"], ran.result["steps"]) == (3, "tool_calls", 7), ran.err
    (made,) = [
        line["item"]
        for line in ran.lines
        if line["type"] == "item.completed" and line["item"]["type"] == "compaction"
    ]
    assert NOTE.strip() in made["summary"]
    newest = 1_700 + 500  # tokens of the last result and of the question, which nobody has read yet
    assert made["usage"]["cached_input_tokens"] > made["usage"]["input_tokens"] - newest - 500
    assert len(mock.bodies) == 8
    assert ran.result["request_bytes"] == sum(len(request["body"].encode()) for request in mock.requests)
    before, asked, after = (body["messages"] for body in mock.bodies[3:6])
    assert asked[: len(before)] == before
    assert mock.bodies[4]["tools"] == mock.bodies[3]["tools"]
    texts = [str(message["content"]) for message in after]
    assert TASK in texts[-2]
    assert "[handoff note]" in texts[-1]
    assert mock.bodies[6]["messages"][: len(after)] == after


def test_text_output_says_that_room_was_made_and_never_is_never(serve: Serve) -> None:
    home, mock = serve(SCRIPT)
    (home.workspace / "src").mkdir()
    (home.workspace / "src/old.py").write_text("class Old: ...\n", encoding="utf-8")
    always = ("run", "--sandbox", "none", "-m", "mock/demo-1", "--max-tool-calls", "5", TASK)
    ran = home.treadle(*always, "-c", "context.compact_at=4000")
    assert "made room: a note of" in ran.err
    count = len(mock.requests)
    ran = home.treadle(*always, "-c", "context.compact_at=never")
    assert "made room" not in ran.err
    assert len(mock.requests) == count + 5
