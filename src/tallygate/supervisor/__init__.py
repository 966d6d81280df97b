"""The process that starts, watches, restarts and drains the roles of one node.

It does no work of its own: it prepares the data folder (`folder`), opens the listening sockets
(`listeners`), starts a `child` for each `post` and keeps the posts filled (`supervise`). It never
opens the store, so that it stays small and nothing of the store's can take it down.
"""
