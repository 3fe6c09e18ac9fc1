"""Fixtures of the tests that need real processes."""

from __future__ import annotations

from .deployment import deployment

__all__ = ["deployment"]
