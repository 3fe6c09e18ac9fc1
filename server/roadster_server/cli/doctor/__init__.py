"""`doctor`: finds what would go wrong later."""
