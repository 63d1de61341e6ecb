"""What a request will cost: which part of it a provider still has, and how to keep it there."""
