"""A run: its trials, its attackers, and the file of its results."""
