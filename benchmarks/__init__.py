"""How fast training and completing are, measured beside what a user would otherwise write."""
