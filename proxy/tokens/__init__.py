"""Centrifugo's tokens, minted where the policy says that they may be."""
