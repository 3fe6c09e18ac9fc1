"""The agents that need no model: scripted ones, and one with a list of rules."""
