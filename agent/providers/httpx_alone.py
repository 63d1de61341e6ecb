"""httpx without its command line, whose rich and pygments take half of the time that importing httpx takes."""

from __future__ import annotations

import sys
from types import ModuleType

_CLI = "httpx._main"

# A module without `main`: httpx takes that for one that cannot be imported, and does without, as it does where click
# is not installed. Who asks for the module later gets the real one.
sys.modules[_CLI] = ModuleType(_CLI)
try:
    import httpx
finally:
    del sys.modules[_CLI]

__all__ = ["httpx"]
