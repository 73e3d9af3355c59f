"""One check, or all of them, for others to repeat: a script, an issue to paste, golden files."""
