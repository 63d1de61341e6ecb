"""What vendors publish of how much they take: a row each, with where it is said and what becomes of it here."""

from __future__ import annotations

from typing import Final

from treadle.agent.providers.limits.kinds import Row

K: Final = 1000
MB: Final = 1_000_000
GB: Final = 1_000_000_000
"""Where a vendor does not say whether it counts in powers of two, the smaller reading holds."""
_SCALED = "the vendor scales the image down; when room is needed it is scaled here, to this"
_KEPT = "an account's total is known to the vendor alone, whose refusal is told as it is"
_PASSED = "files go to the tool by the vendor's ids; it counts them"
_OWN = "texts are embedded in parts, as many a request as the vendor takes"
_MADE = "only the hosted tool makes images here, and takes no files from this program"
_AUDIO = "this program works with text, images and documents: it sends no sound to be written down"
_SPEECH = "this program has nothing spoken"
_CHAT = "limits of the vendor's own program, not of its API"
_UNSURE = "unconfirmed"


_CLAUDE = "platform.claude.com/docs/en/api/overview"
_CLAUDE_VISION = "platform.claude.com/docs/en/build-with-claude/vision"
_CLAUDE_PDF = "platform.claude.com/docs/en/build-with-claude/pdf-support"
_CLAUDE_FILES = "platform.claude.com/docs/en/build-with-claude/files"
_CLAUDE_BATCH = "platform.claude.com/docs/en/build-with-claude/batch-processing"
_SMALL = 200_000
_ANTHROPIC: Final = (
    Row("anthropic", "request_bytes", 32 * MB, "enforced", _CLAUDE),
    Row("anthropic", "count_bytes", 32 * MB, "enforced", _CLAUDE),
    Row(
        "anthropic",
        "image_bytes",
        5_242_880,
        "enforced",
        _CLAUDE_VISION,
        "5 MB, of base64: so its errors count",
    ),
    Row("anthropic", "image_side", 8000, "enforced", _CLAUDE_VISION),
    Row("anthropic", "images_many", 20, "enforced", _CLAUDE_VISION),
    Row("anthropic", "image_side_many", 2000, "enforced", _CLAUDE_VISION),
    Row("anthropic", "images", 100, "enforced", _CLAUDE_VISION, window_to=_SMALL),
    Row("anthropic", "images", 600, "enforced", _CLAUDE_VISION),
    Row("anthropic", "image_native_side", 1568, "not applicable", _CLAUDE_VISION, _SCALED),
    Row("anthropic", "document_pages", 100, "enforced", _CLAUDE_PDF, _UNSURE, window_to=_SMALL),
    Row("anthropic", "document_pages", 600, "enforced", _CLAUDE_PDF, _UNSURE),
    Row("anthropic", "file_bytes", 500 * MB, "enforced", _CLAUDE_FILES),
    Row("anthropic", "store_bytes", 100 * GB, "not applicable", _CLAUDE_FILES, _KEPT),
    Row(
        "anthropic",
        "batch_bytes",
        256 * MB,
        "enforced",
        _CLAUDE_BATCH,
        "this or the requests, whichever is first",
    ),
    Row("anthropic", "batch_requests", 100 * K, "enforced", _CLAUDE_BATCH),
    Row("anthropic", "batch_hours", 24, "enforced", _CLAUDE_BATCH, "results are kept for 29 days"),
)

_IMAGES = "platform.openai.com/docs/guides/images-vision"
_FILES = "platform.openai.com/docs/api-reference/files"
_ASSISTANTS = "platform.openai.com/docs/assistants/deep-dive"
_BATCH = "platform.openai.com/docs/guides/batch"
_CHAT_API = "platform.openai.com/docs/api-reference/chat"
_PDF = "platform.openai.com/docs/guides/pdf-files"
_OPENAI: Final = (
    Row("openai", "request_bytes", 25 * MB, "enforced", "observed: 413 above about 25 MB", "not published"),
    Row("openai", "image_bytes", 20 * MB, "enforced", _IMAGES),
    Row("openai", "images", 1500, "enforced", _IMAGES, f"{_UNSURE} figure of 2026; the older one warns"),
    Row("openai", "images", 500, "warned", _IMAGES),
    Row("openai", "image_total_bytes", 512 * MB, "enforced", _IMAGES, f"{_UNSURE} figure of 2026"),
    Row("openai", "image_total_bytes", 50 * MB, "warned", _IMAGES),
    Row("openai", "image_native_side", 2048, "not applicable", _IMAGES, _SCALED),
    Row("openai", "document_bytes", 50 * MB, "enforced", _PDF),
    Row("openai", "tools", 128, "enforced", _CHAT_API, wire="openai_chat"),
    Row("openai", "file_bytes", 512 * MB, "enforced", _FILES),
    Row(
        "openai",
        "file_tokens",
        5 * MB,
        "enforced",
        _ASSISTANTS,
        "estimated: only the vendor counts it exactly",
    ),
    Row("openai", "file_tokens", 2 * MB, "warned", _FILES, "what the reference of the files API says"),
    Row(
        "openai",
        "upload_bytes",
        8 * GB,
        "not applicable",
        "platform.openai.com/docs/api-reference/uploads",
        "files are uploaded whole here, and stay below `file_bytes`",
    ),
    Row("openai", "store_bytes", 2500 * GB, "not applicable", _FILES, f"of a project; {_KEPT}"),
    Row(
        "openai",
        "store_bytes",
        100 * GB,
        "not applicable",
        _ASSISTANTS,
        f"of an organisation, older; {_KEPT}",
    ),
    Row("openai", "interpreter_files", 20, "not applicable", _ASSISTANTS, _PASSED),
    Row("openai", "vector_store_files", 10 * K, "not applicable", _ASSISTANTS, _PASSED),
    Row("openai", "batch_bytes", 200 * MB, "enforced", _BATCH),
    Row("openai", "batch_bytes", 100 * MB, "warned", _BATCH, "an older figure"),
    Row("openai", "batch_requests", 50 * K, "enforced", _BATCH),
    Row("openai", "batch_hours", 24, "enforced", _BATCH),
    Row("openai", "embedding_inputs", 50 * K, "not applicable", _BATCH, f"of one batch; {_OWN}"),
    Row(
        "openai",
        "embedding_inputs",
        2048,
        "not applicable",
        "platform.openai.com/docs/api-reference/embeddings",
        f"of one request; {_OWN}",
    ),
    Row(
        "openai",
        "image_generation",
        None,
        "not applicable",
        "platform.openai.com/docs/api-reference/images",
        f"png, webp or jpg of 50 MB, 16 of them, a prompt of 32,000 characters; {_MADE}",
    ),
    Row(
        "openai",
        "audio",
        None,
        "not applicable",
        "platform.openai.com/docs/guides/speech-to-text",
        f"25 MB; mp3, mp4, mpeg, mpga, m4a, wav, webm, flac, ogg; {_AUDIO}",
    ),
    Row(
        "openai",
        "speech",
        None,
        "not applicable",
        "platform.openai.com/docs/guides/text-to-speech",
        f"4,096 characters; {_SPEECH}",
    ),
    Row(
        "openai",
        "chat_product",
        None,
        "not applicable",
        "help.openai.com/articles/8555545",
        f"512 MB and 2,000,000 tokens a file, 20 MB an image, 10 GB a user; {_CHAT}",
    ),
)

_QUOTAS = "learn.microsoft.com/azure/ai-foundry/openai/quotas-limits"
_AZURE: Final = (
    Row("azure*", "request_bytes", 25 * MB, "warned", _QUOTAS, "not published; what holds at OpenAI"),
    Row("azure*", "image_bytes", 20 * MB, "enforced", _QUOTAS),
    Row("azure*", "images", 50, "enforced", _QUOTAS),
    Row("azure*", "images", 10, "warned", _QUOTAS, "an older figure"),
    Row("azure*", "image_native_side", 2048, "not applicable", _QUOTAS, _SCALED),
    Row("azure*", "tools", 128, "enforced", _QUOTAS),
    Row("azure*", "messages", 2048, "enforced", _QUOTAS, wire="openai_chat"),
    Row("azure*", "file_bytes", 512 * MB, "enforced", _QUOTAS),
    Row("azure*", "file_tokens", 2 * MB, "warned", _QUOTAS),
    Row("azure*", "store_files", 500, "not applicable", _QUOTAS, f"10,000 with an expiry; {_KEPT}"),
    Row("azure*", "interpreter_files", 20, "not applicable", _QUOTAS, _PASSED),
    Row("azure*", "vector_store_files", 10 * K, "not applicable", _QUOTAS, _PASSED),
    Row(
        "azure*",
        "batch_bytes",
        200 * MB,
        "enforced",
        _QUOTAS,
        "1 GB where the account brings its own storage",
    ),
    Row("azure*", "batch_requests", 100 * K, "enforced", _QUOTAS),
    Row("azure*", "batch_hours", 24, "enforced", _QUOTAS),
    Row("azure*", "embedding_inputs", 2048, "not applicable", _QUOTAS, _OWN),
    Row("azure*", "audio", None, "not applicable", _QUOTAS, f"25 MB; {_AUDIO}"),
    Row("azure*", "speech", None, "not applicable", _QUOTAS, f"4,096 characters; {_SPEECH}"),
)

_GEMINI_FILES = "ai.google.dev/gemini-api/docs/files"
_GEMINI_IMAGES = "ai.google.dev/gemini-api/docs/image-understanding"
_GEMINI_BATCH = "ai.google.dev/gemini-api/docs/batch-api"
_GEMINI_PDF = "ai.google.dev/gemini-api/docs/document-processing"
_GOOGLE: Final = (
    Row(
        "gemini",
        "request_bytes",
        100 * MB,
        "enforced",
        _GEMINI_FILES,
        "since January 2026; the older one warns",
    ),
    Row("gemini", "request_bytes", 20 * MB, "warned", _GEMINI_IMAGES, "an older figure"),
    Row("gemini", "images", 3600, "enforced", _GEMINI_IMAGES, _UNSURE),
    Row("gemini", "image_native_side", 3072, "not applicable", _GEMINI_IMAGES, _SCALED),
    Row("gemini", "document_bytes", 50 * MB, "enforced", _GEMINI_PDF),
    Row("gemini", "document_pages", 1000, "enforced", _GEMINI_PDF),
    Row("gemini", "file_bytes", 2 * GB, "enforced", _GEMINI_FILES),
    Row("gemini", "file_hours", 48, "enforced", _GEMINI_FILES),
    Row("gemini", "store_bytes", 20 * GB, "not applicable", _GEMINI_FILES, _KEPT),
    Row("gemini", "batch_bytes", 2 * GB, "enforced", _GEMINI_BATCH),
    Row("gemini", "batch_inline_bytes", 20 * MB, "enforced", _GEMINI_BATCH),
    Row("gemini", "batches", 100, "enforced", _GEMINI_BATCH),
    Row("gemini", "batch_hours", 48, "enforced", _GEMINI_BATCH),
    Row(
        "gemini",
        "audio",
        None,
        "not applicable",
        "ai.google.dev/gemini-api/docs/audio",
        f"9.5 hours; {_AUDIO}",
    ),
    Row(
        "vertex",
        "request_bytes",
        30 * MB,
        "enforced",
        "docs.cloud.google.com/vertex-ai, Claude",
        _UNSURE,
        wire="anthropic",
    ),
    Row(
        "vertex",
        "request_bytes",
        20 * MB,
        "enforced",
        "docs.cloud.google.com/vertex-ai, limits",
        f"{_UNSURE}; gs:// names what is larger",
    ),
    Row("vertex", "image_side", 8000, "enforced", _CLAUDE_VISION, wire="anthropic"),
    Row("vertex", "image_bytes", 5_242_880, "enforced", _CLAUDE_VISION, wire="anthropic"),
    Row("vertex", "images_many", 20, "enforced", _CLAUDE_VISION, wire="anthropic"),
    Row("vertex", "image_side_many", 2000, "enforced", _CLAUDE_VISION, wire="anthropic"),
    Row("vertex", "image_native_side", 1568, "not applicable", _CLAUDE_VISION, _SCALED, wire="anthropic"),
    Row("vertex", "image_native_side", 3072, "not applicable", _GEMINI_IMAGES, _SCALED),
    Row(
        "vertex",
        "batch_bytes",
        None,
        "not applicable",
        "docs.cloud.google.com/vertex-ai, batch",
        "batches are jobs over Cloud Storage or BigQuery, which this program does not submit",
    ),
)

_GLM = "docs.z.ai"
_BIGMODEL = "docs.bigmodel.cn"
_OTHERS: Final = (
    *(
        row
        for vendor, source in (("zai", _GLM), ("bigmodel", _BIGMODEL))
        for row in (
            Row(
                vendor,
                "request_bytes",
                None,
                "not applicable",
                source,
                "not published: codes 1261 and 1210 say what was too large, and make room",
            ),
            Row(vendor, "image_bytes", 5 * MB, "enforced", source, _UNSURE),
            Row(vendor, "image_side", 6000, "enforced", source, _UNSURE),
            Row(vendor, "image_native_side", 2048, "not applicable", source, _SCALED),
            Row(vendor, "file_bytes", 100 * MB, "enforced", source),
            Row(vendor, "batch_bytes", 100 * MB, "enforced", source),
            Row(vendor, "batch_requests", 50 * K, "enforced", source),
            Row(vendor, "batch_hours", 24, "enforced", source),
        )
    ),
    Row(
        "openrouter",
        "request_bytes",
        None,
        "not applicable",
        "openrouter.ai/docs",
        "not published, and each upstream has its own: a 413 makes room",
    ),
    Row(
        "openrouter",
        "images",
        None,
        "not applicable",
        "openrouter.ai/docs",
        "the upstream's, which it chooses",
    ),
    Row("openrouter", "file_bytes", None, "not applicable", "openrouter.ai/docs", "the upstream's"),
    Row("openrouter", "batch_hours", 24, "enforced", "openrouter.ai/docs"),
    Row(
        "groq", "request_bytes", 4 * MB, "warned", "console.groq.com/docs/vision", "where images stand in it"
    ),
    Row("groq", "images", 5, "warned", "console.groq.com/docs/vision"),
    Row("xai", "image_bytes", 20 * MB, "warned", "docs.x.ai/docs/guides/image-understanding"),
    Row("mistral", "image_bytes", 10 * MB, "warned", "docs.mistral.ai/capabilities/vision"),
    Row("mistral", "images", 8, "warned", "docs.mistral.ai/capabilities/vision"),
)

ROWS: Final[tuple[Row, ...]] = (*_ANTHROPIC, *_OPENAI, *_AZURE, *_GOOGLE, *_OTHERS)
