"""What both command lines share at the edge: signals, log lines, exit codes, and the one-picture slot."""
