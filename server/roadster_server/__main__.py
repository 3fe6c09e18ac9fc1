"""The command line's entry, `roadster-mcp` and `python -m roadster_server`."""

from __future__ import annotations

import gc


def main() -> None:
    """Runs the command line. Garbage collection is off while modules load: it would take a tenth of the start."""
    gc.disable()
    from .cli.app import app  # noqa: PLC0415 - after gc.disable

    gc.freeze()
    gc.enable()
    app()


if __name__ == "__main__":
    main()
