"""The program's front door: `treadle` and `python -m treadle.agent`."""

from __future__ import annotations

import gc
import os
import sys

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
    try:
        from treadle.agent.frontends.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
