"""Tests of what runs in a browser, started from here so that `make test` is all of them."""
