"""Many requests answered within a day at half the price: a vendor's batches in and out of bytes, without I/O."""

from __future__ import annotations

from treadle.agent.providers.batch.calls import (
    cancel_call,
    capacity_of,
    create_call,
    file_of,
    poll_call,
    result_calls,
    upload_call,
    waves,
)
from treadle.agent.providers.batch.kinds import APIS, Batch, BatchApi, Capacity, Outcome, Phase, Queued
from treadle.agent.providers.batch.results import outcomes, read_batch

__all__ = [
    "APIS",
    "Batch",
    "BatchApi",
    "Capacity",
    "Outcome",
    "Phase",
    "Queued",
    "cancel_call",
    "capacity_of",
    "create_call",
    "file_of",
    "outcomes",
    "poll_call",
    "read_batch",
    "result_calls",
    "upload_call",
    "waves",
]
