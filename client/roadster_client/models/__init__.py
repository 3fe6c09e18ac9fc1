"""Typed requests and answers of the documented operations, one module for each subject of the reference."""
