"""An iterative, incremental check of JSON text: for lines too deep for a recursive parser or too long to
hold."""

from __future__ import annotations

import codecs
import math
import re
from typing import Literal

_Expect = Literal["value", "value or ]", "key", "key or }", ":", ", or end", "text", "number", "literal", "nothing"]

_SPACE = re.compile(r"[ \t\r\n]*")
_TEXT_RUN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER_RUN = re.compile(r"[-+.0-9eE]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERAL_RUN = re.compile(r"[a-z]*")
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_LITERALS = ("true", "false", "null")
_MAX_NUMBER_CHARS = 65_536
"""A longer number is taken as beyond a double: it stands in a line that is too long in any case."""


class JsonScanner:
    """Feed the bytes of one line, then `finish`. Constant work a byte, a byte of memory a level of nesting.

    Accepts what RFC 8259 accepts, in UTF-8, without lone surrogates and without numbers beyond a double.
    """

    def __init__(self) -> None:
        self.max_depth = 0
        self.blank = True
        """Nothing but JSON's white space so far."""
        self.starts_object = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._rest = ""
        self._stack = bytearray()
        self._expect: _Expect = "value"
        self._text_is_key = False
        self._token: list[str] = []
        self._high_surrogate = False
        self.broken = False

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes; cuts may fall anywhere."""
        if not self.broken:
            try:
                self._rest = self._advance(self._rest + self._decoder.decode(chunk), final=False)
            except ValueError:
                self.broken = True

    def finish(self) -> bool:
        """Whether the line was exactly one JSON value."""
        if self.broken:
            return False
        try:
            self._advance(self._rest + self._decoder.decode(b"", True), final=True)
        except ValueError:
            return False
        return self._expect == "nothing"

    def _advance(self, text: str, *, final: bool) -> str:
        """Consume what can be told for certain; returns the rest. Raises ValueError where it is not JSON."""
        at = 0
        while at < len(text) or (final and self._expect in ("number", "literal")):
            if self._expect == "text":
                stop = self._in_text(text, at, final=final)
                if stop is None:
                    return text[at:]
                at = stop
            elif self._expect in ("number", "literal"):
                at = self._in_bare_token(text, at, final=final)
            else:
                at = self._between_tokens(text, at)
        return ""

    def _in_text(self, text: str, at: int, *, final: bool) -> int | None:
        run = _TEXT_RUN.match(text, at)
        assert run is not None
        if run.end() > at:
            if self._high_surrogate:
                raise ValueError("lone surrogate")
            return run.end()
        if text[at] == '"':
            if self._high_surrogate:
                raise ValueError("lone surrogate")
            self._expect = ":" if self._text_is_key else self._after_value()
            return at + 1
        escape = _ESCAPE.match(text, at)
        if escape is None:
            if text[at] == "\\" and len(text) - at < 6 and not final:
                return None
            raise ValueError("control character or unknown escape")
        code = int(escape[0][2:], 16) if escape[0][1] == "u" else 0
        if (0xDC00 <= code <= 0xDFFF) != self._high_surrogate:
            raise ValueError("lone surrogate")
        self._high_surrogate = 0xD800 <= code <= 0xDBFF
        return escape.end()

    def _in_bare_token(self, text: str, at: int, *, final: bool) -> int:
        run = (_NUMBER_RUN if self._expect == "number" else _LITERAL_RUN).match(text, at)
        assert run is not None
        self._token.append(run[0])
        if sum(map(len, self._token)) > _MAX_NUMBER_CHARS:
            raise ValueError("number beyond a double, or no literal")
        if run.end() < len(text) or final:
            token = "".join(self._token)
            if self._expect == "literal":
                if token not in _LITERALS:
                    raise ValueError("unknown literal")
            elif _NUMBER.fullmatch(token) is None or not math.isfinite(float(token)):
                raise ValueError("malformed number, or beyond a double")
            self._token.clear()
            self._expect = self._after_value()
        return run.end()

    def _between_tokens(self, text: str, at: int) -> int:
        space = _SPACE.match(text, at)
        assert space is not None
        if space.end() > at:
            return space.end()
        char = text[at]
        if self.blank:
            self.blank = False
            self.starts_object = char == "{"
        if self._expect in ("value", "value or ]"):
            return self._start_value(char, at)
        if self._expect in ("key", "key or }") and char == '"':
            self._expect, self._text_is_key = "text", True
        elif self._expect == "key or }" and char == "}":
            self._close(char)
        elif self._expect == ":" and char == ":":
            self._expect = "value"
        elif self._expect == ", or end" and char == ",":
            self._expect = "key" if self._stack[-1:] == b"{" else "value"
        elif self._expect == ", or end" and char in "]}":
            self._close(char)
        else:
            raise ValueError(f"expected {self._expect}")
        return at + 1

    def _start_value(self, char: str, at: int) -> int:
        if char == '"':
            self._expect, self._text_is_key = "text", False
            return at + 1
        if char in "{[":
            self._stack.append(ord(char))
            self.max_depth = max(self.max_depth, len(self._stack))
            self._expect = "key or }" if char == "{" else "value or ]"
            return at + 1
        if char == "]" and self._expect == "value or ]":
            self._close(char)
            return at + 1
        if char in "-0123456789":
            self._expect = "number"
        elif char in "tfn":
            self._expect = "literal"
        else:
            raise ValueError("expected value")
        return at

    def _close(self, char: str) -> None:
        if self._stack.pop() != ord("{" if char == "}" else "["):
            raise ValueError("mismatched bracket")
        self._expect = self._after_value()

    def _after_value(self) -> _Expect:
        return ", or end" if self._stack else "nothing"
