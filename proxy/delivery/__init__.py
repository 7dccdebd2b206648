"""The way to Centrifugo's server API."""
