"""The data plane: identify, route, admit, forward, relay, record."""
