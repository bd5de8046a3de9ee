"""Trust decisions about images: what a reference means and who vouches for it.

A leaf package: bytes and values in, verified values out.
"""
