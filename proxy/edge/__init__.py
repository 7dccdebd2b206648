"""HTTP: requests become the calls of use cases, and what they give becomes answers."""
