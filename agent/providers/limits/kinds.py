"""What limits are called, in which units they are, and what a row of the table holds."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from treadle.sandbox.frozen import frozen

Status: TypeAlias = Literal["enforced", "warned", "not applicable"]
"""enforced: nothing goes out above it · warned: said, and sent · not applicable: of no use here, because."""
What: TypeAlias = Literal[
    "request_bytes",
    "context_tokens",
    "count_bytes",
    "image_bytes",
    "image_side",
    "image_side_many",
    "images_many",
    "images",
    "image_total_bytes",
    "image_native_side",
    "document_bytes",
    "document_pages",
    "tools",
    "messages",
    "file_bytes",
    "file_tokens",
    "file_hours",
    "store_bytes",
    "store_files",
    "upload_bytes",
    "interpreter_files",
    "vector_store_files",
    "batch_bytes",
    "batch_requests",
    "batch_inline_bytes",
    "batch_hours",
    "batches",
    "embedding_inputs",
    "image_generation",
    "audio",
    "speech",
    "chat_product",
]
MEANINGS: Final[dict[What, tuple[str, str]]] = {
    "request_bytes": ("bytes", "the body of one request"),
    "context_tokens": ("tokens", "the whole request: of each model in the catalogue, not in this table"),
    "count_bytes": ("bytes", "the body of one request to count tokens"),
    "image_bytes": ("bytes", "one image, as base64"),
    "image_side": ("px", "the longer side of an image"),
    "image_side_many": ("px", "the longer side of an image, where there are more than `images_many`"),
    "images_many": ("images", "from here on `image_side_many` holds"),
    "images": ("images", "all images of a request"),
    "image_total_bytes": ("bytes", "all images of a request together, as base64"),
    "image_native_side": ("px", "the longer side above which the vendor itself scales images down"),
    "document_bytes": ("bytes", "one document, as bytes"),
    "document_pages": ("pages", "all PDF pages of a request"),
    "tools": ("tools", "tools of a request"),
    "messages": ("messages", "messages of a request, each result of a call being one"),
    "file_bytes": ("bytes", "one file in the vendor's store"),
    "file_tokens": ("tokens", "one file in the vendor's store"),
    "file_hours": ("hours", "how long a file is kept"),
    "store_bytes": ("bytes", "all files of an account"),
    "store_files": ("files", "all files of an account"),
    "upload_bytes": ("bytes", "one file that is uploaded in parts"),
    "interpreter_files": ("files", "files of one code interpreter"),
    "vector_store_files": ("files", "files of one vector store"),
    "batch_bytes": ("bytes", "the file of one batch"),
    "batch_requests": ("requests", "requests of one batch"),
    "batch_inline_bytes": ("bytes", "a batch whose requests stand in the body"),
    "batch_hours": ("hours", "how long a batch may take"),
    "batches": ("batches", "batches at work at once"),
    "embedding_inputs": ("inputs", "texts of embedding requests"),
    "image_generation": ("", "images that are made or changed"),
    "audio": ("", "speech that is written down"),
    "speech": ("", "text that is spoken"),
    "chat_product": ("", "what the vendor's own chat program takes"),
}
"""The unit of each, and what it counts."""


@frozen
class Row:
    """One published limit. `vendor`, `wire` and `model` are globs; the first row that fits is the one that holds."""

    vendor: str
    what: What
    value: int | None
    """In the unit of `what`; None where it is no number."""
    status: Status
    source: str
    because: str = ""
    """Why it is not applicable, or what else is to be known of it."""
    wire: str = "*"
    model: str = "*"
    window_to: int | None = None
    """Holds for models whose window is not larger than so many tokens."""
    date: str = "2026-11"
    """When it was read there."""
