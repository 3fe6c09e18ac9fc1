"""Runs of other harnesses: the world as a command for them, grades of their transcripts, and tasks in their formats."""
