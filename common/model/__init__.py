"""What producers and consumers agree on. Pure: no I/O, no threads, no clock; time is an argument."""
