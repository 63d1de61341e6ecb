"""Short notes, kept in one JSON file."""
