"""A mail server that takes everything, and remembers it: enough of SMTP for one sender."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass
class Mailbox:
    port: int = 0
    received: list[tuple[list[str], EmailMessage]] = field(default_factory=list)  # whom, what
    is_refusing: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receivers: list[str] = []
        await self._say(writer, "220 fake")
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "RCPT":
                receivers.append(line.partition("<")[2].partition(">")[0])
                await self._say(writer, "550 no such mailbox" if self.is_refusing else "250 ok")
            elif verb == "DATA":
                await self._say(writer, "354 go on")
                body = await reader.readuntil(b"\r\n.\r\n")
                policy = email.policy.default
                message = email.message_from_bytes(body[:-3], policy=policy)
                assert isinstance(message, EmailMessage)
                self.received.append((receivers, message))
                await self._say(writer, "250 ok")
            else:
                await self._say(writer, "221 bye" if verb == "QUIT" else "250 ok")
                if verb == "QUIT":
                    break
        writer.close()

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, line: str) -> None:
        writer.write(f"{line}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def receiving_mail() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    server = await asyncio.start_server(box.serve, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    yield box
    server.close()
