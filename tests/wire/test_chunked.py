"""Chunked bodies are read the same in any split, and nothing that two could read differently is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.wire import chunked
from tallygate.wire.chunked import LAST_CHUNK, BadChunk, ChunkedReader

BODY = b"5\r\nhello\r\n1;name=value\r\n \r\na \t;x\r\nworld\r\n\r\n!\r\n000\r\nX-Sum: 1\r\n\r\n"
PAYLOAD = b"hello world\r\n\r\n!"


def read(*pieces: bytes) -> tuple[bytes, bool, bytes]:
    """The payload, whether the body has ended, and what came behind it."""
    reader = ChunkedReader()
    payload = b"".join(reader.feed(piece) for piece in pieces)
    return payload, reader.is_done, reader.surplus


def one_by_one(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def encoded(payloads: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in payloads) + LAST_CHUNK


# --- any split ---


def test_a_body_is_read_whole_and_byte_by_byte() -> None:
    assert read(BODY) == (PAYLOAD, True, b"")
    assert read(*one_by_one(BODY)) == (PAYLOAD, True, b"")


def test_a_body_is_read_in_every_split_into_two() -> None:
    for cut in range(len(BODY) + 1):
        assert read(BODY[:cut], BODY[cut:]) == (PAYLOAD, True, b"")


@pytest.mark.parametrize("after", [b"G", b"\r\n", b"0\r\n\r\n", b"GET /smuggled HTTP/1.1\r\n\r\n"])
def test_what_comes_behind_the_body_is_no_part_of_it(after: bytes) -> None:
    """Neither payload nor lost: a pipelined request, or a reason not to pool a connection."""
    assert read(BODY + after) == (PAYLOAD, True, after)
    assert read(BODY, after) == (PAYLOAD, True, after)
    assert read(*one_by_one(BODY + after)) == (PAYLOAD, True, after)


def test_a_body_that_was_cut_has_not_ended() -> None:
    for cut in range(len(BODY)):
        assert not read(BODY[:cut])[1]


payloads = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


@given(payloads, st.lists(st.integers(0, 400)), st.binary(max_size=10))
def test_decoding_in_any_split_undoes_encoding(
    sent: list[bytes], cuts: list[int], after: bytes
) -> None:
    data = encoded(sent) + after
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    assert read(*pieces) == (b"".join(sent), True, after)


def result_of(feed: str, before: bytes, data: bytes) -> object:
    reader = ChunkedReader()
    reader.feed(before)
    try:
        payload = getattr(reader, feed)(data)
    except BadChunk as error:
        return str(error)
    return payload, reader._state, reader._partial, reader._missing, reader.surplus


@given(
    st.sampled_from([b"", b"1", b"0", b"5;", b"5\r\nhello", b"5\r\nhello\r\n", b"f\r\nhello"]),
    st.one_of(
        st.binary(min_size=1, max_size=20).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data)),
        st.tuples(
            st.sampled_from([b"5", b"05", b"5;x", b"5 ", b"0", b"4", b"6", b"a", b"+5", b""]),
            st.sampled_from([b"\r\n", b"\n", b"\r", b""]),
            st.sampled_from([b"hello", b"\r\n\r\n\r\n", b"hel\r\n", b""]),
            st.sampled_from([b"\r\n", b"\n", b"", b"!\r\n", b"\r\n0\r\n\r\n"]),
        ).map(b"".join),
    ),
)
def test_the_short_way_for_a_whole_chunk_agrees_with_the_long_way(
    before: bytes, data: bytes
) -> None:
    """Most reads of a stream are one whole chunk of a size seen before."""
    for size in (b"5", b"05", b"5;x", b"5 ", b"0", b"4", b"6", b"a"):
        chunked._read_size(size)
    assert result_of("feed", before, data) == result_of("_feed_any", before, data)


# --- what is refused ---

BAD_SIZES = {
    "a sign": b"+1",
    "a minus": b"-1",
    "a space before": b" 1",
    "a tab before": b"\t1",
    "a prefix": b"0x1",
    "an underscore": b"1_0",
    "nothing": b"",
    "an extension of nothing": b";x",
    "a letter beyond F": b"1g",
    "other digits": "١".encode(),
    "two sizes": b"1 1",
    "a comma": b"1,1",
    "a fraction": b"1.0",
    "too many digits": b"1" * 13,
    "zeros without end": b"0" * 13,
    "a bare CR in its extension": b"1;a\rb",
    "a NUL in its extension": b"1;a\x00b",
    "a NUL": b"1\x00",
    "a CR more": b"1\r",
    "an extension that is too long": b"1;" + b"x" * chunked.SIZE_LINE_MAX,
}


@pytest.mark.parametrize("line", BAD_SIZES.values(), ids=BAD_SIZES)
def test_a_size_is_hexadecimal_digits_and_nothing_else(line: bytes) -> None:
    data = line + b"\r\nx\r\n" + LAST_CHUNK
    for pieces in ([data], one_by_one(data), [b"2\r\nhi\r\n", data]):
        with pytest.raises(BadChunk):
            read(*pieces)


def test_sizes_are_read_with_their_leading_zeros_and_in_either_case() -> None:
    data = b"x" * 171
    for size in (b"ab", b"AB", b"aB", b"00ab", b"0000000000ab"):
        assert read(size + b"\r\n" + data + b"\r\n" + LAST_CHUNK) == (data, True, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"1\nx\r\n0\r\n\r\n",
        b"1\r\nx\n0\r\n\r\n",
        b"1\r\nx\r\n0\n\r\n",
        b"1\r\nx\r\n0\r\n\n",
        b"1\r\nx\r\n0\r\nX: y\n\r\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"1\r\nx0\r\n\r\n",
        b"1\r\nx\r\r\n0\r\n\r\n",
        b"1\r\nx\r\n\r\n0\r\n\r\n",
    ],
)
def test_lines_end_in_crlf_and_chunks_where_they_say(data: bytes) -> None:
    for pieces in ([data], one_by_one(data)):
        with pytest.raises(BadChunk):
            read(*pieces)


@pytest.mark.parametrize(
    "trailer",
    [b"no colon", b": no name", b"X Y: z", b" X: folded", b"X: a\x00", b"X: a\rb", b"X\xff: y"],
)
def test_a_malformed_trailer_is_refused(trailer: bytes) -> None:
    data = b"0\r\n" + trailer + b"\r\n\r\n"
    for pieces in ([data], one_by_one(data)):
        with pytest.raises(BadChunk):
            read(*pieces)


def test_trailers_are_dropped() -> None:
    """They could pass for headers, and authenticate somebody."""
    data = b"2\r\nhi\r\n0;last\r\nAuthorization: Bearer x\r\nX-Sum:\r\n\r\n"
    assert read(data) == (b"hi", True, b"")


# --- bounds ---


def test_a_size_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    reader = ChunkedReader()
    reader.feed(b"1;")
    with pytest.raises(BadChunk):
        for _ in range(chunked.SIZE_LINE_MAX + 1):
            reader.feed(b"x")


@pytest.mark.parametrize("trailer", [b"X: y\r\n", b"x"])
def test_trailers_without_end_are_refused(trailer: bytes) -> None:
    reader = ChunkedReader()
    reader.feed(b"0\r\nX: ")
    with pytest.raises(BadChunk):
        for _ in range(chunked.TRAILERS_MAX // len(trailer) + 1):
            reader.feed(trailer)
    with pytest.raises(BadChunk):
        read(b"0\r\n" + b"X: y\r\n" * chunked.TRAILERS_MAX)


def test_the_memory_of_sizes_is_bounded() -> None:
    for size in range(1, chunked._SIZES_MAX + 10):
        chunked._read_size(b"%x" % size)
    assert len(chunked._SIZES) <= chunked._SIZES_MAX
