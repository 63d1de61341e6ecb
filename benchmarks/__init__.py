"""Measures treadle as a user meets it: whole processes, on the distribution's Python."""
