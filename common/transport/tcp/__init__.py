"""The two transports without a broker (`threads`, `multiplex`), and what they have in common."""
