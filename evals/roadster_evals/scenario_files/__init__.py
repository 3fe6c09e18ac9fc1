"""The scenarios as files: their model, what they take from a world, their attacks, and their mistakes."""
