"""Benchmarks of whole processes, seen from outside: traces that consumers write, and /proc. Linux."""
