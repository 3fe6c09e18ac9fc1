"""The grading of a trial: what was observed, compared with what was expected."""
