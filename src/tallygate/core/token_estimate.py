"""A cheap guess at how many tokens a request body holds, rather too high than too low.

The rule: a quarter token for each character, and a half for each byte that its UTF-8 takes
beyond the first. That is 1 token per 4 bytes of English or JSON, about 0.75 per letter of
Cyrillic or Greek, 1.25 per Chinese character and 1.75 per emoji, near the dearest of the
tokenizers in use. Chinese written as \\uXXXX comes to 1.5 a character by the same rule.
Base64 in a large body (pictures, sound, files) is not text: each counts as BINARY_TOKENS.
"""

import codecs
from typing import Final

TOKENS_MAX: Final = 10_000_000  # beyond any context window: what claims more is wrong
BINARY_TOKENS: Final = 1_600  # what a picture in high detail costs at most providers, at most
BINARY_BODY_MIN: Final = 16 * 1024  # in a smaller body, base64 counted as text is no worse
BINARY_LENGTH_MIN: Final = 4 * BINARY_TOKENS  # counted as text, a shorter one costs less

_SLICE: Final = 256 * 1024  # decoded at a time, so that a large body is never there twice
_BASE64_PREFIX: Final = b";base64,"  # data:image/png;base64,…
_DATA_KEY: Final = b'"data"'  # Anthropic's source.data, OpenAI's input_audio.data
_MARKERS_MAX: Final = 4_096  # looked at; what comes behind is counted as text
_QUOTE: Final = b'"'


class InvalidUtf8(ValueError):
    """The bytes are not UTF-8."""


def estimate_tokens(body: bytes) -> int:
    """Tokens in a JSON body, from its length; raises InvalidUtf8."""
    characters = len(body) if body.isascii() else _count_characters(body)
    tokens = (characters + 3) // 4 + (len(body) - characters + 1) // 2
    if len(body) >= BINARY_BODY_MIN:
        count, length = _find_binaries(body)
        tokens += count * BINARY_TOKENS - length // 4
    return tokens


def _count_characters(body: bytes) -> int:
    characters = 0
    start = 0
    view = memoryview(body)
    while start < len(body):
        end = start + _SLICE
        try:
            text, used = codecs.utf_8_decode(view[start:end], "strict", end >= len(body))
        except UnicodeDecodeError as error:
            raise InvalidUtf8(f"at byte {start + error.start}") from error
        characters += len(text)
        start += used
    return characters


def _find_binaries(body: bytes) -> tuple[int, int]:
    """How many base64 strings there are, and how long they are together."""
    count = length = 0
    for marker in (_BASE64_PREFIX, _DATA_KEY):
        at = body.find(marker)
        for _ in range(_MARKERS_MAX):
            if at < 0:
                break
            start = at + len(marker)
            if marker is _DATA_KEY:
                opening = body.find(_QUOTE, start, start + 8)
                start = opening + 1 if opening >= 0 else start
            end = body.find(_QUOTE, start)
            end = len(body) if end < 0 else end
            if end - start >= BINARY_LENGTH_MIN and _is_base64(body[start : start + 64]):
                count += 1
                length += end - start
            at = body.find(marker, end)
    return count, length


def _is_base64(sample: bytes) -> bool:
    """Text has spaces or punctuation within 64 characters; a data URL counts by its prefix."""
    return sample.translate(None, b"+/-_=").isalnum()
