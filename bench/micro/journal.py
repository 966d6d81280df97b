"""Recording a request: encoding its entry, appending it, and the write that many share."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tallygate.core.entry import Attempt, Entry, Outcome, Use
from tallygate.journal.frames import Identity, encode, seed_of
from tallygate.journal.writer import Journal

SHARING = 16  # requests that end in one loop tick of a busy worker
SEGMENT_BYTES = 8 << 20


def entry() -> Entry:
    return Entry(
        request_id="01JD6Z6V8M4T5QK9W2X7",
        tenant_id=1,
        key_id=1842,
        user_id="",
        admitted_ms=1_732_147_200_123,
        duration_ms=812,
        first_byte_ms=344,
        route="/v1/chat/completions",
        model="deepseek-chat",
        provider="deepseek",
        status=200,
        outcome=Outcome.OK,
        source="reported",
        is_counted=True,
        counts={"input": 118, "output": 14, "cached": 64},
        uses=[Use(number, number, 1_732_147_200, 1, 700, 132) for number in (11, 12, 13)],
        address="203.0.113.7",
        agent="OpenAI/Python 1.99.0",
        bytes_in=1138,
        bytes_out=1012,
        attempts=[Attempt("deepseek", 200, 810)],
    )


class EndlessJournal:
    """A journal that is begun anew, in a folder of its own, before its bound is reached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boot = 0
        self.begin()

    def begin(self) -> None:
        self.boot += 1
        identity = Identity("store", "node", 0, self.boot)
        folder = self.folder / str(self.boot)
        self.journal = Journal(folder, identity, segment_bytes=SEGMENT_BYTES)
        self.appended = 0

    def append(self, payload: bytes) -> None:
        self.journal.append(payload)
        self.appended += len(payload)

    def write(self) -> None:
        self.journal.write()
        self.journal.prepare()
        if self.appended > 8 * SEGMENT_BYTES:
            self.journal.close()
            for path in self.journal.folder.glob("*.seg"):
                path.unlink()
            self.begin()


@contextmanager
def cases() -> Iterator[dict[str, Callable[[], object]]]:
    encoder = msgspec.msgpack.Encoder()
    one = entry()
    payload = encoder.encode(one)
    seed = seed_of(Identity("store", "node", 0, 1))
    with tempfile.TemporaryDirectory(prefix="tallygate-micro-") as folder:
        endless = EndlessJournal(Path(folder))

        def append_and_write() -> None:
            endless.append(payload)
            endless.write()

        def shared_write() -> None:
            for _ in range(SHARING):
                endless.append(payload)
            endless.write()

        yield {
            f"encode an entry ({len(payload)} bytes)": lambda: encoder.encode(one),
            "frame an entry": lambda: encode(payload, seed),
            "append and write alone": append_and_write,
            f"append {SHARING} and write once": shared_write,
        }
        endless.journal.close()
