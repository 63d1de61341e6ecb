"""The rungs: what each of them would have sent in place of what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from treadle.agent.conversation import Conversation
from treadle.agent.events import Compacted, HistoryRepaired, Noted
from treadle.agent.ladder.over import Over
from treadle.agent.ladder.seams import Seams
from treadle.agent.ladder.swaps import At, Swaps, repaired
from treadle.agent.messages import Message, ToolMessage, UserMessage
from treadle.agent.providers.contract import LanguageModel, ProviderError
from treadle.agent.providers.counting import text_tokens, tokens_of
from treadle.agent.providers.limits import limit_of, native_side
from treadle.agent.providers.limits.kinds import What
from treadle.agent.providers.limits.sizes import Shown, contents, json_bytes
from treadle.agent.providers.rendering import content_text
from treadle.prompts import load
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Inline, Media, Text
from treadle.tools.output import Ring

_LONG: Final = 8_000
"""Bytes of a text that is long enough to be kept in a file."""
_END: Final = 2_000
"""Bytes of each end of it that stay."""
_SMALL: Final = 16_000
"""Bytes of base64 that are not worth an upload."""
_SIDES: Final[tuple[What, ...]] = ("image_side", "image_side_many")


@frozen
class Step:
    """A conversation that does not fit, and whom it is for."""

    seams: Seams
    conversation: Conversation
    model: LanguageModel
    over: Over


async def shrink(step: Step) -> HistoryRepaired | None:
    """Scale pictures down: those that are each too much, then the oldest until there is room."""
    info, over = step.model.info, step.over
    native = native_side(info)
    side = min([native, *(one.most for one in over.of(*_SIDES))])
    swaps: Swaps = {}
    needed = over.needed
    for one in _media(step, inline=True):
        is_too_much = (one.message, one.part) in over.each
        if one.media.kind != "image" or not (is_too_much or (needed.some and one.side > native)):
            continue
        smaller = await step.seams.shrink(one.media, side, limit_of(info, "image_bytes"))
        if smaller is not None and isinstance(smaller.source, Inline):
            swaps.setdefault(one.message, {})[one.at] = smaller
            needed.less(one.encoded - len(smaller.source.data), 0)
    return _repaired(step, swaps, "scaled down", "picture")


async def upload(step: Step) -> HistoryRepaired | None:
    """Put media where the provider keeps files, the oldest first until there is room."""
    swaps: Swaps = {}
    needed = step.over.needed
    for one in _media(step, inline=True) if step.over.of("request_bytes") else ():
        if needed.bytes <= 0:
            break
        if one.encoded < _SMALL:
            continue
        try:
            reference = await step.seams.upload(one.media, step.model, step.conversation)
        except ProviderError as error:
            await step.seams.show(Noted(text=f"{one.name} could not be uploaded: {error}"))
            break
        if reference is not None:
            swaps.setdefault(one.message, {})[one.at] = one.media.model_copy(update={"source": reference})
            needed.less(one.encoded, 0)
    return _repaired(step, swaps, "now stand in the provider's store", "file")


async def leave_out(step: Step) -> HistoryRepaired | None:
    """Put notes in the place of media: of those that are each too much, then of the oldest until there is room."""
    over, info = step.over, step.model.info
    swaps: Swaps = {}
    needed, images, pages = over.needed, over.excess("images"), over.excess("document_pages")
    for one in _media(step, inline=False):
        is_image = one.media.kind == "image"
        is_one_too_many = (is_image and images > 0) or (one.pages > 0 and pages > 0)
        if (one.message, one.part) not in over.each and not is_one_too_many and not needed.some:
            continue
        what = " ".join(filter(None, (one.media.kind, one.media.filename, f"({one.media.mime})")))
        note = Text(text=load("notices/media_left_out", what=what))
        swaps.setdefault(one.message, {})[one.at] = note
        images, pages = images - is_image, pages - one.pages
        needed.less(one.encoded, tokens_of(info, one))
    return _repaired(step, swaps, "left out, a note in place of each", "file")


async def spill(step: Step) -> HistoryRepaired | None:
    """Keep long texts in files, results before prompts, the oldest first until there is room; their ends stay."""
    swaps: Swaps = {}
    needed = step.over.needed
    for number, at, text in _texts(step):
        if not needed.some:
            break
        name = "-".join((step.conversation.items[number][0], *map(str, at)))
        try:
            path = await step.seams.write(name, text)
        except OSError as error:
            await step.seams.show(Noted(text=f"a long text could not be kept in a file: {error}"))
            break
        ends = _ends(text, path)
        swaps.setdefault(number, {})[at] = Text(text=ends)
        gone = json_bytes(text) - json_bytes(ends)
        needed.less(gone, text_tokens(step.model.info, gone))
    return _repaired(step, swaps, "kept in files, their ends stay", "text")


async def compact(step: Step) -> Compacted | None:
    """Have a note stand for what came before."""
    return await step.seams.compact(step.conversation, step.model)


def _repaired(step: Step, swaps: Swaps, done: str, word: str) -> HistoryRepaired | None:
    count = sum(map(len, swaps.values()))
    reason = f"{count} {word}{'s' * (count != 1)} {done}: {step.over.breaches[0]}"
    return repaired(step.conversation, swaps, reason)


def _media(step: Step, *, inline: bool) -> Iterator[Shown]:
    """Yield the media that others can stand for, the oldest first. A reply's own stay as they came."""
    items = step.conversation.items
    for one in step.over.sizes.media:
        is_ours = one.message < len(items) and isinstance(items[one.message][1], UserMessage | ToolMessage)
        if is_ours and (one.encoded or not inline):
            yield one


def _texts(step: Step) -> Iterator[tuple[int, At, str]]:
    """Yield the texts that are long enough, each with its message and its place in it."""
    items = [message for _, message in step.conversation.items]
    results = [number for number, message in enumerate(items) if isinstance(message, ToolMessage)]
    prompts = [number for number, message in enumerate(items) if _is_prompt(message)]
    for number in (*results, *prompts):
        for at, content in contents(items[number]):
            if not isinstance(content, Media) and len(text := content_text(content, [])) > _LONG:
                yield number, at, text


def _is_prompt(message: Message) -> bool:
    return isinstance(message, UserMessage) and message.author == "user"


def _ends(text: str, path: str) -> str:
    ring = Ring()
    ring.feed(text.encode("utf-8", "replace"))
    return ring.view(_END, _END, load("notices/text_spilled", path=path)).text
