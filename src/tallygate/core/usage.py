"""What a request used: an open map from dimension to count, and how far to trust it."""

import enum

import msgspec

INPUT_TOKENS = "input_tokens"  # all input, cached ones included
OUTPUT_TOKENS = "output_tokens"  # all output, reasoning included
CACHE_READ_TOKENS = "cache_read_tokens"  # a part of the input
CACHE_WRITE_TOKENS = "cache_write_tokens"  # a part of the input
REASONING_TOKENS = "reasoning_tokens"  # a part of the output


class Source(enum.StrEnum):
    """Where the counts come from."""

    REPORTED = "reported"  # the upstream said so
    ESTIMATED = "estimated"  # counted from what passed through
    MISSING = "missing"  # nothing passed that could be counted
    LOST = "lost"  # the process died before the answer was recorded


class Usage(msgspec.Struct, frozen=True):
    """Counts by dimension. Parts that are zero are left out; input and output are not."""

    counts: dict[str, int]
    source: Source

    @property
    def total_tokens(self) -> int:
        """Input plus output; the other token dimensions are parts of these two."""
        return self.counts.get(INPUT_TOKENS, 0) + self.counts.get(OUTPUT_TOKENS, 0)
