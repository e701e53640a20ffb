"""Messages, rules and values that producers and consumers have in common.

Pure: no I/O, no threads, no clock. Time is an argument.
"""
