"""Every command of core/commands.py, a module per subject."""
