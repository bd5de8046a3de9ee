"""Images and published metadata from outside: registries, OCI layouts, TUF repositories over HTTP, files kept here.

Bytes arrive bounded in size and time and exactly as they were sent; what they are worth, ``notary`` decides.
"""
