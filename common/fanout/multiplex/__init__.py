"""One thread and one event loop for all clients."""
