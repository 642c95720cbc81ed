"""The command-line program: what each command does, and what a run leaves in its folder."""
