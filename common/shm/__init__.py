"""A ring of pictures in shared memory: one process of a host decodes, the others read.

`names` says how a ring is found, `layout` what its bytes mean; `writer` and `reader` map it, `futex` wakes
the readers, `hosts` looks after the files.
"""
