"""What is known about the grants that were given."""
