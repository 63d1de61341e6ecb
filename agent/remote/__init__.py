"""What providers keep for a session beyond one request: replies, conversations, files."""
