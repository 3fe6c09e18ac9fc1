"""The server: settings, calls, protocol, transports, events, store and command line."""
