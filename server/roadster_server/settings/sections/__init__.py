"""The sections of roadster.toml, each a model."""
