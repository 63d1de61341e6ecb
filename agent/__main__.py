"""The program's front door: `treadle` and `python -m treadle.agent`."""

from __future__ import annotations

import gc
import sys

from treadle.agent import __version__


def main() -> None:
    """Run the command line; `--version` alone is answered before anything else is loaded."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"treadle {__version__}\n")
        return
    gc.set_threshold(
        100_000, 50, 50
    )  # nearly all that is made while loading stays; looking through it costs a tenth
    try:
        from treadle.agent.frontends.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
