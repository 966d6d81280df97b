"""The composition root: settings become what each role is told, and each role is run.

`node` is the supervisor's side (`tallygate serve`); `__main__` is what it starts for every role.
This package imports nothing by itself, so that a gateway loads only what a gateway needs.
"""
