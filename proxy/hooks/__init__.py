"""One module per Centrifugo event: a wire request goes in, the gate is asked, a wire reply comes out."""
