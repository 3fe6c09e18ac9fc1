"""The server over HTTP: its processes, and all that is between a connection and its route."""
