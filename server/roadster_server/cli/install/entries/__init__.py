"""The entry of this server in the file of a host. The formats are JSON, TOML and YAML, and the rest of a file stays."""
