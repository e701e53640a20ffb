"""Infrastructure of both commands: options, signals, logging, exit codes, and the slot between threads."""
