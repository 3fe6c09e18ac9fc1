"""The audit: its rows, the chain of their hashes, and the check of it."""
