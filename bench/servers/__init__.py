"""The servers that are measured, in processes of their own, their configurations, and connections to them."""
