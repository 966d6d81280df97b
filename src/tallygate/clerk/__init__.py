"""The one writer of a node: leases, settling, commands, the change feed."""
