"""The entry of the command line: `roadster-mcp` and `python -m roadster_server`."""

from __future__ import annotations

import gc


def main() -> None:
    """Runs the command line. A command that lasts has garbage collected once it has loaded everything.

    Loading modules makes no garbage, and looking for it costs a tenth of the start.
    """
    gc.disable()
    from .cli.app import app  # noqa: PLC0415 - after the line above

    try:
        app()
    finally:
        gc.freeze()  # the end of Python looks for garbage too, where there is nothing to gain any more


if __name__ == "__main__":
    main()
