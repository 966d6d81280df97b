"""HTTP/1.1 and framed messages on asyncio protocols. Knows no money and no SQL."""
