"""The Roadster API: its operations bound to one dealer, one order, or the dealers of an account."""
