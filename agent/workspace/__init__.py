"""The folder that a session works on: what git knows of it, what has changed in it."""
