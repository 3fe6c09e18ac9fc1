"""What makes the tools a server: settings, transports, who is calling, command line."""
