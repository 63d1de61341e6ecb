from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest
from unit.agent.providers.limits.picturing import document, image, noise, pdf, shows

from fakes import Says, ScriptedModel, calls, memory_sandbox, says
from treadle.agent.context import assemble
from treadle.agent.conversation import Conversation
from treadle.agent.desk import Desk
from treadle.agent.events import (
    Body,
    Compacted,
    Delta,
    HistoryRepaired,
    MessageAdded,
    Noted,
    Prefix,
    SessionOpened,
)
from treadle.agent.ladder import Ladder, Seams
from treadle.agent.ladder.seams import Mend, Pays, Upload, Write, no_mending, nothing_pays
from treadle.agent.log import SessionLog
from treadle.agent.messages import AssistantMessage, Message, ToolMessage, UserMessage, user
from treadle.agent.pictures import shrink
from treadle.agent.providers.contract import (
    ContextOverflow,
    HttpCall,
    LanguageModel,
    ModelInfo,
    ModelRequest,
    Output,
    ProviderError,
    Renderings,
    RequestTooLarge,
    StaleState,
    Unreachable,
)
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.agent.providers.wires.openai_responses import OpenAIResponses
from treadle.agent.session import Record, Session
from treadle.agent.step import Calls
from treadle.tools.contract import Content, FileRef, Function, Media, Text, ToolResult
from treadle.tools.toolbox import Toolbox

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
MB = 1_000_000
CLAUDE = ModelInfo(id="claude-1", wire="anthropic", vendor="anthropic", endpoint="e", context_window=2 * MB)
GPT = ModelInfo(
    id="gpt-1",
    wire="openai_responses",
    vendor="openai",
    endpoint="e",
    context_window=9 * MB,
    dialect={"media": ("image", "document")},
)


class Model(ScriptedModel):
    """A scripted model whose requests are encoded as its wire has them, and refused above what it really takes."""

    def __init__(self, *script: AssistantMessage | ProviderError, info: ModelInfo) -> None:
        super().__init__(*script, info=info)
        self._wire = Anthropic() if info.wire == "anthropic" else OpenAIResponses()
        self._kept = Renderings()
        self.encoded = 0

    def encode(self, request: ModelRequest) -> HttpCall:
        self.encoded += 1
        return self._wire.encode(request, self.info, self._kept, stream=True)


@dataclass
class Reached:
    """What the rungs reached out for."""

    noted: list[str] = field(default_factory=list[str])
    uploaded: list[str] = field(default_factory=list[str])
    written: dict[str, str] = field(default_factory=dict[str, str])
    counts: list[int] = field(default_factory=list[int])
    """What the vendor says, count by count."""
    asked: int = 0
    store: Callable[[Media], FileRef | None] = lambda media: None
    note: Callable[[Conversation], Compacted | None] = lambda conversation: None

    async def show(self, delta: Delta) -> None:
        assert isinstance(delta, Noted)
        self.noted.append(delta.text)

    async def shrink(self, media: Media, side: int, most: int | None) -> Media | None:
        return shrink(media, side, most)

    async def upload(self, media: Media, model: LanguageModel, conversation: Conversation) -> FileRef | None:
        reference = self.store(media)
        if reference is not None:
            self.uploaded.append(media.filename or "")
        return reference

    async def write(self, name: str, text: str) -> str:
        self.written[name] = text
        return f"/spill/{name}.txt"

    async def compact(self, conversation: Conversation, model: LanguageModel) -> Compacted | None:
        return self.note(conversation)

    async def count(self, model: LanguageModel, request: ModelRequest) -> int | None:
        self.asked += 1
        return self.counts.pop(0) if self.counts else None

    def ladder(
        self,
        write: Write | None = None,
        upload: Upload | None = None,
        mend: Mend = no_mending,
        pays: Pays = nothing_pays,
    ) -> Ladder:
        seams = Seams(
            shrink=self.shrink,
            upload=upload or self.upload,
            write=write or self.write,
            compact=self.compact,
            pays=pays,
            count=self.count,
            mend=mend,
            show=self.show,
        )
        return Ladder("s1", Output(), seams)


def talk(*messages: Message, tools: int = 0) -> Conversation:
    log = SessionLog(None)
    offered = tuple(Function(name=f"t{n}", description="T.", parameters={}) for n in range(tools))
    prefix = Prefix(system=("You work.",), tools=offered)
    log.append(SessionOpened(session="s1", workspace="/w", model="script/script", prefix=prefix))
    log.append(*(MessageAdded(message=message) for message in messages))
    return log.conversation


def names_of(bodies: tuple[Body, ...]) -> list[str]:
    """Return what was done, rung by rung."""
    words = {"scaled": "shrink", "store": "upload", "note in place": "leave out", "kept in files": "spill"}
    return [
        next(name for word, name in words.items() if word in body.reason)
        if isinstance(body, HistoryRepaired)
        else body.type
        for body in bodies
    ]


async def room(
    ladder: Ladder, conversation: Conversation, model: Model, refused: ProviderError | None = None
) -> tuple[Body, ...]:
    with anyio.fail_after(20):
        return await ladder.make_room(conversation, model, refused)


def note_of(conversation: Conversation) -> Compacted:
    return Compacted(summary="What came before.", keep_from=None)


async def test_what_fits_is_left_alone_and_costs_next_to_nothing() -> None:
    reached, model = Reached(), Model(info=CLAUDE)
    ladder = reached.ladder()
    conversation = talk(*[user("word " * 50), says("Yes.")] * 500)
    assert await room(ladder, conversation, model) == ()
    began = time.perf_counter()
    for _ in range(20):
        assert await room(ladder, conversation, model) == ()
    assert (time.perf_counter() - began) / 20 < 0.005  # of a thousand messages, on a busy machine
    assert (model.encoded, reached.asked, reached.noted) == (0, 0, [])


def content_of(body: Body) -> list[Content]:
    """Return what a repair has sent in place of what there was."""
    assert isinstance(body, HistoryRepaired)
    return [
        item
        for message in body.replaced.values()
        for items in (
            [message.content]
            if isinstance(message, UserMessage)
            else [result.content for result in message.results]
            if isinstance(message, ToolMessage)
            else []
        )
        for item in items
    ]


def results(*items: Content) -> ToolMessage:
    return ToolMessage(results=(ToolResult(call_id="c1", content=items),))


async def test_a_picture_that_is_too_large_is_scaled_down_once() -> None:
    reached, model = Reached(), Model(info=CLAUDE)
    ladder = reached.ladder()
    small = image(noise(30, 20))
    conversation = talk(shows(image(noise(9000, 20)), small))
    (made,) = await room(ladder, conversation, model)
    text, wide, other = content_of(made)
    assert (text, other) == (Text(text="Look."), small)
    assert isinstance(wide, Media)
    assert isinstance(made, HistoryRepaired)
    assert "image_side" in made.reason
    assert reached.noted == [made.reason]
    assert await room(ladder, conversation.after(made), model) == ()


async def test_from_the_twenty_first_picture_on_all_are_scaled_to_the_smaller_side() -> None:
    wide, small = image(noise(2100, 10)), image(noise(9, 9))
    ladder, model = Reached().ladder(), Model(info=CLAUDE)
    assert await room(ladder, talk(shows(wide, *[small] * 19)), model) == ()
    (made,) = await room(ladder, talk(shows(wide, *[small] * 20)), model)
    assert "image_side_many" in str(made)


async def test_too_many_pictures_leave_notes_in_place_of_the_oldest_in_results_too() -> None:
    tiny = image(noise(9, 9), name="shot.png")
    few = replace(CLAUDE, limits={"images": 4})
    conversation = talk(user("Go."), calls(("read", "{}")), results(tiny, tiny), shows(tiny, tiny, tiny))
    (made,) = await room(Reached().ladder(), conversation, Model(info=few))
    kinds = [item.type for item in content_of(made)]
    assert kinds == ["text", "text"]  # back to three: the next picture needs no new beginning
    assert "image shot.png (image/png)" in str(content_of(made)[0])


async def test_long_results_are_kept_in_files_before_prompts_are_and_their_ends_stay() -> None:
    reached = Reached()
    long = "begin " + "word " * 20_000 + "end"
    small = replace(CLAUDE, limits={"request_bytes": 190_000})
    conversation = talk(user(long), calls(("read", "{}")), results(Text(text=long)), user("And?"))
    (made,) = await room(reached.ladder(), conversation, Model(info=small))
    assert list(reached.written.values()) == [long]
    (text,) = [item.text for item in content_of(made) if isinstance(item, Text)]
    assert text.startswith("begin word")
    assert text.endswith("end")
    assert f"all of it is in /spill/{next(iter(reached.written))}.txt" in text


async def test_a_file_that_cannot_be_written_or_uploaded_is_told_and_the_next_rung_is_tried() -> None:
    async def full(name: str, text: str) -> str:
        raise OSError(28, "No space left on device")

    async def away(media: Media, model: LanguageModel, conversation: Conversation) -> FileRef | None:
        raise Unreachable("the store does not answer")

    reached = Reached(note=note_of)
    small = replace(CLAUDE, limits={"request_bytes": 20_000})
    conversation = talk(shows(document(pdf(1, 30_000))), says("Yes."), user("word " * 9000))
    bodies = await room(reached.ladder(write=full, upload=away), conversation, Model(info=small))
    assert names_of(bodies) == ["leave out", "compacted"]
    assert any("the store does not answer" in text for text in reached.noted)
    assert any("No space left" in text for text in reached.noted)


async def test_when_nothing_helps_the_turn_fails_and_names_the_part() -> None:
    small = replace(CLAUDE, limits={"request_bytes": 5_000})
    with pytest.raises(RequestTooLarge, match=r"no more room to be made: message 0: .* 5,000 that anthropic"):
        await room(Reached().ladder(), talk(user("word " * 1500)), Model(info=small))
    with pytest.raises(RequestTooLarge, match="the request: 3 tools are more than the 2"):
        await room(
            Reached().ladder(), talk(user("Hi"), tools=3), Model(info=replace(CLAUDE, limits={"tools": 2}))
        )
    narrow = replace(CLAUDE, context_window=100)
    with pytest.raises(ContextOverflow, match="context_tokens"):
        await room(Reached().ladder(), talk(user("word " * 1500)), Model(info=narrow))


async def test_a_request_over_the_window_is_compacted_before_it_is_sent() -> None:
    reached = Reached(note=note_of)
    narrow = replace(CLAUDE, context_window=3000)
    bodies = await room(reached.ladder(), talk(user("Go."), *[says("word " * 600)] * 9), Model(info=narrow))
    assert names_of(bodies) == ["compacted"]


async def test_the_vendor_is_asked_to_count_only_near_the_window_and_believed() -> None:
    message = user("word " * 2000)  # some 3,100 tokens
    far, near = (Model(info=replace(CLAUDE, context_window=window)) for window in (5000, 3300))
    reached = Reached(counts=[2900, 2950])
    ladder = reached.ladder()
    assert await room(ladder, talk(message), far) == ()
    assert reached.asked == 0
    conversation = talk(message)
    assert await room(ladder, conversation, near) == ()
    assert await room(ladder, conversation, near) == ()
    assert reached.asked == 1  # what was counted once is known
    over = Reached(counts=[3301])
    (made,) = await room(over.ladder(), talk(message), near)
    assert "3,301 tokens are more than the 3,300" in str(made)


async def test_a_refusal_of_another_size_than_is_published_makes_room_once() -> None:
    reached = Reached()
    conversation = talk(shows(document(pdf(1, 200_000))), says("Yes."), user("Go on."))
    for refused in (
        RequestTooLarge("HTTP 413: Request Entity Too Large", status=413),
        ContextOverflow("HTTP 400: your input exceeds the context window", status=400),
    ):
        bodies = await room(reached.ladder(), conversation, Model(info=CLAUDE), refused)
        assert names_of(bodies) == ["leave out"]


async def test_a_refusal_that_says_both_figures_is_measured_by_them() -> None:
    conversation = talk(*[shows(document(pdf(1, 100_000))), says("Yes.")] * 4, user("Go on."))
    told = ContextOverflow("prompt is too long: 210,000 tokens > 200000 maximum", status=400)
    (made,) = await room(Reached().ladder(), conversation, Model(info=CLAUDE), told)
    assert len(content_of(made)) == 4
    one_figure = ContextOverflow("prompt is too long: the maximum is 200000 tokens", status=400)
    (made,) = await room(Reached().ladder(), conversation, Model(info=CLAUDE), one_figure)
    assert sum(isinstance(item, Text) and "Here stood" in item.text for item in content_of(made)) > 1


async def test_a_refusal_for_which_nothing_can_be_made_smaller_stands() -> None:
    refused = RequestTooLarge("HTTP 413: too large", status=413)
    with pytest.raises(RequestTooLarge, match="HTTP 413: too large; and there is no more room"):
        await room(Reached().ladder(), talk(user("Hi")), Model(info=CLAUDE), refused)
    ours = RequestTooLarge("nothing was sent")
    with pytest.raises(RequestTooLarge, match="nothing was sent"):
        await room(Reached().ladder(), talk(user("Hi")), Model(info=CLAUDE), ours)


async def test_state_that_is_stale_is_mended_and_what_pays_is_asked_last() -> None:
    repair = HistoryRepaired(reason="mended")

    async def mend(
        conversation: Conversation, model: LanguageModel, refused: ProviderError | None
    ) -> tuple[Body, ...]:
        return (repair,)

    async def pays(conversation: Conversation, model: LanguageModel) -> tuple[Body, ...]:
        return (note_of(conversation),)

    model = Model(info=CLAUDE)
    assert await room(Reached().ladder(mend=mend), talk(user("Hi")), model, StaleState("gone")) == (repair,)
    assert names_of(await room(Reached().ladder(pays=pays), talk(user("Hi")), model)) == ["compacted"]
    with pytest.raises(StaleState):
        await room(Ladder("s1", Output(), Seams()), talk(user("Hi")), model, StaleState("gone"))
    small = Model(info=replace(CLAUDE, limits={"request_bytes": 20_000}))
    big = talk(
        shows(image(noise(1600, 9))), says("Yes."), user("word " * 9000), shows(document(pdf(1, 30_000)))
    )
    with pytest.raises(RequestTooLarge):
        await room(Ladder("s1", Output(), Seams()), big, small)


async def test_the_stricter_of_two_figures_is_told_once() -> None:
    tiny = image(noise(2, 2))
    reached, model = Reached(), Model(info=GPT)
    ladder = reached.ladder()
    conversation = talk(shows(*[tiny] * 501))
    assert await room(ladder, conversation, model) == ()
    assert await room(ladder, conversation, model) == ()
    (told,) = reached.noted
    assert "501 images are more than the 500 that openai takes" in told


def seated(model: Model, ladder: Ladder, *messages: Message) -> Session:
    log = SessionLog(None)
    prefix = Prefix(system=("You work.",), tools=())
    log.append(SessionOpened(session="s1", workspace="/w", model="script/script", prefix=prefix))
    log.append(*(MessageAdded(message=message) for message in messages))
    record = Record(log)
    run = Calls(Toolbox(), memory_sandbox(), Says(), record.keep, record.show)
    return Session("s1", Desk("s1", model, run, make_room=ladder.make_room), record)


@pytest.mark.parametrize("info", [CLAUDE, GPT], ids=["32 MB", "25 MB"])
async def test_forty_megabytes_climb_every_rung_and_the_session_goes_on(info: ModelInfo) -> None:
    reached = Reached(
        note=note_of,
        store=lambda media: FileRef(vendor=info.vendor, id="f1") if media.filename == "kept.png" else None,
    )
    model = Model(says("Now I see."), says("And more."), info=replace(info, context_window=None))
    wide, kept = (
        image(noise(2400, 250, compress_level=1)),
        image(noise(1000, 400, compress_level=1), name="kept.png"),
    )
    text = "A line of a file that was read.\n" * 40_000
    session = seated(
        model,
        reached.ladder(),
        user("Go."),
        says("word " * 6_800_000),
        shows(wide, kept, document(pdf(2, 700_000))),
        calls(("read", "{}")),
        results(Text(text=text), image(noise(900, 300, compress_level=1))),
    )
    whole = model.encode(assemble(session.record.log.conversation, "s1", Output())).body
    assert len(whole) > 38 * MB
    ended = await session.prompt(user("What do you see?"))
    assert ended.outcome == "done"
    bodies = [entry.body for entry in session.record.log.branch()]
    made = tuple(body for body in bodies if isinstance(body, HistoryRepaired | Compacted))
    assert names_of(made) == ["shrink", "upload", "leave out", "spill", "compacted"]
    assert (reached.uploaded, len(reached.written)) == (["kept.png"], 1)
    ended = await session.prompt(user("Is there more?"))
    assert ended.outcome == "done"
    first, second = (model.encode(request).segments for request in model.requests)
    assert second[: len(first)] == first
    assert all(len(model.encode(request).body) < 25 * MB for request in model.requests)


@pytest.mark.parametrize("info", [CLAUDE, GPT], ids=["32 MB", "25 MB"])
async def test_pictures_alone_go_by_id_where_the_vendor_keeps_files(info: ModelInfo) -> None:
    reached = Reached(store=lambda media: FileRef(vendor=info.vendor, id=f"f-{media.filename}"))
    model = Model(says("Yes."), says("Yes."), says("Yes."), info=replace(info, context_window=None))
    one = noise(1000, 950, compress_level=1)
    shown = [shows(image(one, name=f"{number}.png")) for number in range(11)]
    session = seated(
        model, reached.ladder(), *(each for message in shown for each in (message, says("Seen.")))
    )
    for prompt in ("And now?", "And then?"):
        assert (await session.prompt(user(prompt))).outcome == "done"
    made = [entry.body for entry in session.record.log.branch() if isinstance(entry.body, HistoryRepaired)]
    assert names_of(tuple(made)) == [
        "upload"
    ]  # with room to spare, so that the next step begins nothing anew
    first, second = (model.encode(request).segments for request in model.requests)
    assert second[: len(first)] == first
