"""From text to the syntax tree and back: grammar, parser, formatter, findings as people and programs read them."""
