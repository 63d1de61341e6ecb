"""A provider over HTTP that says what a script tells it to."""
