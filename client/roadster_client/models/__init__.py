"""Typed requests and answers of the documented operations, in one module for each subject of the reference."""
