"""A ring of pictures in shared memory: one process of a host decodes, the others read.

`memory` is what they share, `layout` its contents; files with the `names` of rings say which memory it is.
`writer` and `reader` attach it, `futex` wakes the readers. The files are in the `private_folder`; their
`locks` tell whose hubs run.
"""
