"""The tools that come with treadle."""
