"""The configuration of the servers that are measured. All have one dealer, the sandbox's first."""

from __future__ import annotations

from pathlib import Path

VIN, PARTNER_ID = "3MVDMBBM0SM472067", "51101"
"""A vehicle of the dealer, and the dealer's number."""

ONE_CALLER = """
[callers.local]
dealers = ["umazda"]
personal_data = "contact"
access = { inventory = "read", payments = "read", customers = "write" }
writes_per_hour = 1000000
calls_per_minute = 1000000
[http]
anonymous_caller = "local"
"""

_COMMON = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[dealers.umazda]
partner_id = "{partner_id}"
"""


def write_config(folder: Path, upstream: str, *sections: str, store: str | None = None) -> Path:
    """Writes a configuration into `folder`, with these sections at its end, and returns its path.

    `upstream` is the URL of the sandbox. The store is a SQLite file in `folder`, unless `store` is the URL of another.
    """
    store = store or f"sqlite:///{folder}/store.db"
    config = folder / "roadster.toml"
    common = _COMMON.format(upstream=upstream, store=store, partner_id=PARTNER_ID)
    config.write_text("\n".join([common, *sections]), encoding="utf-8")
    return config
