"""Questions to a person in the middle of a call: for a yes, and for the pages that they open."""
