"""Frames: what was written is read, whatever happened to the bytes around it."""

from hypothesis import given
from hypothesis import strategies as st

from tallygate.journal.frames import (
    Header,
    Identity,
    encode,
    encode_header,
    read_header,
    scan,
    seed_of,
)

IDENTITY = Identity("store-1", "node-1", 0, 7)
SEED = seed_of(IDENTITY)
payloads = st.lists(st.binary(max_size=40), max_size=6)


def joined(bodies: list[bytes]) -> bytes:
    return b"".join(encode(body, SEED) for body in bodies)


@given(payloads, st.integers(0, 64))
def test_intact_frames_are_read_once_each_in_order(bodies: list[bytes], padding: int):
    """Zeros after the last frame are space that was allocated ahead, not damage."""
    found = scan(joined(bodies) + bytes(padding), SEED, is_final=True)
    assert [payload for _, payload in found.frames] == bodies
    assert not found.damages


@given(payloads, st.data())
def test_a_scan_cut_anywhere_goes_on_where_it_ended(bodies: list[bytes], data: st.DataObject):
    """A reader sees a growing file in arbitrary pieces."""
    whole = joined(bodies)
    cut = data.draw(st.integers(0, len(whole)))
    first = scan(whole[:cut], SEED, is_final=False)
    second = scan(whole[first.end :], SEED, is_final=True)
    assert [payload for _, payload in first.frames + second.frames] == bodies
    assert not first.damages and not second.damages


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_a_flipped_bit_costs_at_most_the_frame_it_is_in(bodies: list[bytes], data: st.DataObject):
    """Damage is local: its neighbours are still counted, and nothing else is made up."""
    broken = bytearray(joined(bodies))
    place = data.draw(st.integers(0, len(broken) - 1))
    broken[place] ^= 1 << data.draw(st.integers(0, 7))
    end = 0
    for index, body in enumerate(bodies):
        end += len(encode(body, SEED))
        if place < end:
            hit = index
            break
    found = scan(bytes(broken), SEED, is_final=True)
    assert [payload for _, payload in found.frames] == bodies[:hit] + bodies[hit + 1 :]
    assert found.damages


def test_a_frame_inside_a_damaged_payload_is_not_taken_for_an_entry():
    """A client could send bytes that look like a frame; only the payload's own frame counts."""
    inner = encode(b"forged", SEED)
    broken = bytearray(encode(b"x" + inner, SEED))
    broken[16] ^= 1
    found = scan(bytes(broken) + encode(b"next", SEED), SEED, is_final=True)
    assert [payload for _, payload in found.frames] == [b"next"]


def test_frames_of_another_journal_are_not_read():
    """The seed makes the CRCs of one journal meaningless in any other."""
    other = seed_of(Identity("store-2", "node-1", 0, 7))
    assert scan(encode(b"foreign", other), SEED, is_final=True).frames == []


def test_a_header_says_whose_segment_it_is():
    header = Header(IDENTITY, 3)
    data = encode_header(header)
    assert read_header(data + b"rest") == (header, len(data))
    assert read_header(data[:-1]) is None
