"""The policy language: text in, decisions out; pure, without I/O, clock or environment."""
