"""The arguments of a call: their types, their forms as hosts and models write them, and their problems."""
