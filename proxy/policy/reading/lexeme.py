"""What a policy file is made of: words, strings, numbers and signs with their places."""

import dataclasses
from typing import Final

from proxy.policy.findings import Position

SKIPPED: Final = "SKIPPED"
"""Type of the lexeme that stands where a statement could not be read."""

BROKEN: Final = "BROKEN"
"""Type of a lexeme about which a finding says already what is wrong."""

END: Final = "$END"
"""Type of the lexeme behind the last one, Lark's name for it."""


@dataclasses.dataclass(slots=True)
class Lexeme:
    """One terminal of the grammar; `text` is its source, `value` a string after its escapes.

    `type` changes from `WORD` to a keyword when the parser expects that keyword.
    """

    type: str
    text: str
    file: str
    line: int
    column: int
    value: str = ""

    @property
    def at(self) -> Position:
        """The place; made when it is asked for, since most signs are never asked."""
        return Position(file=self.file, line=self.line, column=self.column)
