"""One sender thread per client around a lock-free ring: concurrent, and under the GIL not parallel."""
