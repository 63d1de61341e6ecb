"""A byte-level parser for server-sent events."""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


class SseParser:
    """Cuts bytes, however they were split, into events.

    A line ends with LF, CR or CRLF and with nothing else: U+2028 and its like are text. Lines are decoded whole, so
    a character split between two chunks is never seen half. Work is linear in the bytes fed. Follows the WHATWG
    HTML standard, section 9.2.6, but for `id` and `retry`, which mean nothing here.
    """

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        """Pieces of a line that has not ended."""
        self._after_cr = False
        self._begun = False
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[tuple[str, str]]:
        """Return the events that end in `chunk`, each as its name, or "", and its data."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._plain(chunk)
        if b"\n" not in chunk:
            if chunk:
                self._tail.append(chunk)
            return []
        if self._tail:
            self._tail.append(chunk)
            chunk = b"".join(self._tail)
            self._tail.clear()
        if not self._begun:
            self._begun = True
            chunk = chunk.removeprefix(_BOM)
        if not chunk.endswith(b"\n"):
            cut = chunk.rindex(b"\n") + 1
            self._tail.append(chunk[cut:])
            chunk = chunk[:cut]
        return self._lines(chunk[:-1].decode("utf-8", "replace").split("\n"))

    def close(self) -> list[tuple[str, str]]:
        """Return what the end of the stream completes: an event that lacks its blank line, or its last line end.

        The standard drops it. Servers exist that end so, and a caller can tell a cut line by its content.
        """
        return [*self.feed(b"\n\n")]

    def _plain(self, chunk: bytes) -> bytes:
        """Make every line end LF; a LF after a CR that ended the last chunk belongs to it."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _lines(self, lines: list[str]) -> list[tuple[str, str]]:
        events: list[tuple[str, str]] = []
        event, data = self._event, self._data
        for line in lines:
            if line.startswith("data: "):
                data.append(line[6:])
            elif not line:
                if data:
                    events.append((event, data[0] if len(data) == 1 else "\n".join(data)))
                    data.clear()
                event = ""
            elif line.startswith(("data", "event")):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "data":
                    data.append(value)
                elif name == "event":
                    event = value
        self._event = event
        return events
