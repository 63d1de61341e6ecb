"""What sessions cost on a simulated cache, beside the least they could have cost."""
