"""Writes that a person approves on a page."""
