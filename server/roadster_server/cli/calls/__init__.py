"""Commands that call tools: `call`, `run` and `demo`."""
