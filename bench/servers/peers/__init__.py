"""Servers that do the same work without gate, audit and masking, for `bench.speed`."""
