"""How the HTTP server listens: its socket, its connections, and the limits of both."""
