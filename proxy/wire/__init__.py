"""Centrifugo's JSON: what its hooks ask and may be answered, and its server API; no other package knows its field names."""
