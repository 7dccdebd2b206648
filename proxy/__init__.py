"""Centrigate: decides who may connect, subscribe, publish and call on a Centrifugo server."""
