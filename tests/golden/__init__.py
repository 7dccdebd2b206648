"""Requests of real Centrifugo servers, and the script that records them."""
