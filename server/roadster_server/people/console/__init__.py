"""The console: what the server does and did, for those who answer for it."""
