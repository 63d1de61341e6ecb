"""What a request costs: how its tokens are counted, and which of them a vendor's cache would have held."""

from __future__ import annotations

from dataclasses import dataclass, field

from treadle.agent.mock.billing_automatic import Steps, Units
from treadle.agent.mock.billing_contents import Caches
from treadle.agent.mock.billing_diagnosis import Diagnoses
from treadle.agent.mock.billing_marked import Marked


@dataclass(slots=True)
class Ledger:
    """The caches of every vendor, and the requests that later ones are compared with."""

    marked: Marked = field(default_factory=Marked)
    """Anthropic's, and OpenAI's from 5.6 on."""
    steps: Steps = field(default_factory=Steps)
    """OpenAI's before 5.6, Gemini's, and those of vendors of whom no rule is known."""
    units: Units = field(default_factory=Units)
    """DeepSeek's."""
    contents: Caches = field(default_factory=Caches)
    """What Gemini caches when it is asked to."""
    diagnoses: Diagnoses = field(default_factory=Diagnoses)
