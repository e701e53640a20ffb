"""Pictures in shared memory: one process of a host decodes, the others look.

`layout` says what the bytes mean, `writer` and `reader` map them, `hosts` finds what is there.
"""
