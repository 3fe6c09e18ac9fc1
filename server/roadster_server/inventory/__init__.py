"""The mirror of the dealers' inventory feeds: filled, refreshed, searched."""
