"""The keeper: upstream credentials are checked, renewed, set aside when they died, cleaned up."""
