"""What the fuzzer feeds with bytes (`scripts/fuzz.py`), and the inputs that are kept (`tests/corpus`)."""
