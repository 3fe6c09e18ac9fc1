"""The people of a scenario: what they say, what they are asked, and the pages that they visit."""
