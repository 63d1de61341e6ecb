"""The program's front door: `treadle` and `python -m treadle.agent`."""

from __future__ import annotations

import gc
import os
import sys
from importlib.util import LazyLoader, find_spec, module_from_spec

from treadle.agent import __version__


def main() -> None:
    """Run the command line; `--version` alone is answered before anything else is loaded."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"treadle {__version__}\n")
        return
    # Nearly all that is made while loading stays: looking through it again and again costs a tenth of the start.
    gc.set_threshold(100_000, 50, 50)
    # pydantic would look for plugins in every installed package. What we start does not inherit this: see `config`.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _load_when_used("importlib.metadata")  # it asks for this, and then uses none of it
    try:
        from treadle.agent.frontends.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


def _load_when_used(name: str) -> None:
    spec = find_spec(name)
    if spec is None or spec.loader is None or name in sys.modules:
        return
    loader = LazyLoader(spec.loader)
    spec.loader = loader
    sys.modules[name] = module = module_from_spec(spec)
    loader.exec_module(module)


if __name__ == "__main__":
    main()
