"""A ring of pictures in shared memory: one process of a host decodes, the others read.

`names` defines the file names, `layout` the contents of a file; `writer` and `reader` map it, `futex` wakes
the readers, `folder` locks, lists and removes the files.
"""
