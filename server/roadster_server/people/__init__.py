"""The pages for people: sign-in, approvals, files and the console."""
