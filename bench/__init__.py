"""What operations cost and how many there are in a second, measured on the real contracts and the real service."""
