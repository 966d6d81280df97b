"""The migrations, in order; each is frozen once released."""
