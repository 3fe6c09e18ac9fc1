"""The English that the kit understands: meanings of sentences, and the numbers in a text."""
