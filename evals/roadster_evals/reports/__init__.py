"""The reports of a run: its summary, its tables and plots, and the comparison with another run."""
