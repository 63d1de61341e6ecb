"""What OpenAI's Responses API keeps: responses that others can follow, and conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from treadle.agent.mock.check import Refused
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words
from treadle.agent.mock.memory import Conversation, Kept, Recalled, Spoken, Work
from treadle.agent.mock.responses_items import kind, seal
from treadle.agent.mock.script import Forgettable

MONTH = 30 * 86_400.0
PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


class ResponsesMemory:
    """Responses for thirty days, conversations for ever."""

    def __init__(self) -> None:
        self.responses: dict[str, Kept] = {}
        self.conversations: dict[str, Conversation] = {}

    def recall(self, body: Json, now: float) -> Recalled:
        """Put the chain or the conversation before the input, and items in place of references. Raises Refused."""
        request = members(body)
        previous = request.get("previous_response_id")
        conversation = conversation_of(request.get("conversation"))
        given = _given(request.get("input"))
        if given is None or (previous is not None and conversation is not None):
            return Recalled(body)  # the API's rules say what is wrong
        follows, kept = None, None
        before: Sequence[JsonObject] = ()
        if isinstance(previous, str):
            follows = self._followed(previous, now)
            before = follows.said()
        elif conversation is not None:
            kept = self.conversation(conversation, now)
            if kept.at_work is not None:
                told = "Another process is currently operating on this conversation. Please retry in a few seconds."
                raise Refused(told, code="conversation_locked")
            before = [*kept.items.values()]
        given = [self._meant(item) for item in given]
        _fresh(before, given)
        if request.get("store") is False:
            before = [_sealed(item) for item in before]
        whole: Json = [*before, *given] if before else request.get("input")
        if whole is None or kind_of_reference(request.get("input")):
            whole = [*before, *given]
        return Recalled({**request, "input": whole}, given, follows, kept)

    def forget(self, what: Forgettable, recalled: Recalled) -> None:
        """Drop what the request leans on. Raises Refused if it did."""
        if what == "chain" and recalled.follows is not None:
            turn: Kept | None = recalled.follows
            while turn is not None:
                self.responses.pop(turn.id, None)
                turn = turn.follows
            raise lost_response(recalled.follows.id)
        if what == "conversation" and recalled.conversation is not None:
            self.conversations.pop(recalled.conversation.id, None)
            raise lost_conversation(recalled.conversation.id)

    def keep(self, recalled: Recalled, spoken: Spoken) -> Kept:
        """Keep a reply."""
        ended = dict(members(read(spoken.whole.decode())))
        opening: JsonObject = {
            "status": "in_progress",
            "output": [],
            "usage": None,
            "incomplete_details": None,
        }
        kept = Kept(
            id=words(ended["id"]),
            given=recalled.given,
            made=[dict(members(item)) for item in elements(ended["output"])],
            opening={**ended, **opening},
            ended=ended,
            work=Work(spoken.events, spoken.now, spoken.pace, spoken.asked.body.get("background") is True),
            follows=recalled.follows,
        )
        self.responses[kept.id] = kept
        if recalled.conversation is not None:
            recalled.conversation.at_work = kept
            self.settle(recalled.conversation, spoken.now)
        return kept

    def submitted(self, kept: Kept) -> JsonObject:
        """What answers a request that is worked on in the background."""
        return {**kept.opening, "status": "queued"}

    def settle(self, conversation: Conversation, now: float) -> None:
        """Add to a conversation what has been done."""
        kept = conversation.at_work
        if kept is None:
            return
        state = kept.work.state(now)
        if state == "done":
            conversation.items |= {
                words(item["id"]): item for item in _named([*kept.given, *kept.made], kept.id)
            }
        if state in {"done", "cancelled"}:
            conversation.at_work = None

    def conversation(self, conversation_id: str, now: float) -> Conversation:
        """A conversation. Raises Refused if it is not here."""
        found = self.conversations.get(conversation_id)
        if found is None:
            raise lost_conversation(conversation_id)
        self.settle(found, now)
        return found

    def response(self, response_id: str, now: float) -> Kept:
        """A response. Raises Refused if it is not here."""
        kept = self.responses.get(response_id)
        if kept is None or kept.work.begun + MONTH < now:
            raise Refused(f"Response with id '{response_id}' not found.", code="", status=404)
        return kept

    def drop(self, kept_id: str) -> None:
        """Forget a reply."""
        self.responses.pop(kept_id, None)

    def stored(self) -> Mapping[str, Json]:
        """The ids of what is here, by kind."""
        return {"responses": [*self.responses], "conversations": [*self.conversations]}

    def _followed(self, response_id: str, now: float) -> Kept:
        kept = self.responses.get(response_id)
        if kept is None:
            raise lost_response(response_id)
        if kept.work.state(now) != "done":
            told = f"Previous response with id '{response_id}' is not completed."
            raise Refused(told, "previous_response_id", "invalid_value")
        return kept

    def _meant(self, item: JsonObject) -> JsonObject:
        """The item itself, or the one that it refers to. Raises Refused."""
        if kind(item) != "item_reference":
            return item
        wanted = item.get("id")
        held = [*self.responses.values()]
        made = (known for kept in reversed(held) for known in (*kept.made, *_named(kept.given, kept.id)))
        kept_in = (known for kept in self.conversations.values() for known in kept.items.values())
        for known in (*made, *kept_in):
            if known.get("id") == wanted:
                return known
        return item


def conversation_of(given: Json) -> str | None:
    """The id of the conversation that a request names; None if it names none."""
    return words(given if isinstance(given, str) else members(given).get("id")) or None


def kind_of_reference(given: Json) -> bool:
    """Whether an input refers to items."""
    return any(members(item).get("type") == "item_reference" for item in elements(given))


def told(kept: Kept, now: float) -> JsonObject:
    """A response as far as it is."""
    match kept.work.state(now):
        case "done":
            return kept.ended
        case "cancelled" | "queued" | "in_progress" as state:
            return {**kept.opening, "status": state}


def input_items(kept: Kept) -> list[JsonObject]:
    """What a response answered, from the first item of its chain on, as the API lists it."""
    before = kept.follows.said() if kept.follows is not None else []
    return [listed(item) for item in _named([*before, *kept.given], kept.id)]


def listed(item: Mapping[str, Json]) -> JsonObject:
    """An item as a list shows it: typed, with parts, and done."""
    type_ = kind(item)
    shown: JsonObject = {"type": type_, "status": "completed", **item}
    if type_ == "reasoning" and "status" not in item:
        del shown["status"]
    content = item.get("content")
    if type_ == "message" and isinstance(content, str):
        spoken = item.get("role") == "assistant"
        part: JsonObject = (
            {"type": "output_text", "text": content, "annotations": []}
            if spoken
            else {"type": "input_text", "text": content}
        )
        shown["content"] = [part]
    return shown


def _given(input_: Json) -> list[JsonObject] | None:
    """The items of an input; None if it is nothing that the API takes."""
    match input_:
        case None:
            return []
        case str():
            return [{"role": "user", "content": input_}]
        case list():
            items = [dict(item) for item in input_ if isinstance(item, dict)]
            return items if len(items) == len(input_) else None
        case _:
            return None


def _named(items: Sequence[JsonObject], owner: str) -> Iterator[JsonObject]:
    """Items with ids, made up where they have none."""
    mark = owner.partition("_")[2]
    for index, item in enumerate(items):
        prefix = PREFIXES.get(kind(item), "item")
        yield item if item.get("id") else {**item, "id": f"{prefix}_{mark}_in{index}"}


def _fresh(before: Sequence[JsonObject], given: Sequence[JsonObject]) -> None:
    """No item is sent that is there already. Raises Refused."""
    known = {words(item["id"]) for item in before if item.get("id")}
    for item in given:
        if words(item.get("id")) in known:
            told = f"Duplicate item found with id {item['id']}. Remove duplicate items from your input and try again."
            raise Refused(told, "input")


def _sealed(item: JsonObject) -> JsonObject:
    """An item as a request that stores nothing can carry it."""
    if kind(item) != "reasoning" or item.get("encrypted_content"):
        return item
    thought = "".join(words(members(part).get("text")) for part in elements(item.get("summary")))
    return {**item, "encrypted_content": seal(thought)}


def lost_response(response_id: str) -> Refused:
    """What OpenAI says of a chain whose last response is not there."""
    told = f"Previous response with id '{response_id}' not found."
    return Refused(told, "previous_response_id", "previous_response_not_found")


def lost_conversation(conversation_id: str) -> Refused:
    """What OpenAI says of a conversation that is not there."""
    return Refused(f"Conversation with id '{conversation_id}' not found.", code="", status=404)


def no_item(item_id: str, conversation_id: str) -> Refused:
    """What OpenAI says of an item that a conversation does not hold."""
    return Refused(f"Item '{item_id}' not found in conversation '{conversation_id}'.", code="", status=404)
