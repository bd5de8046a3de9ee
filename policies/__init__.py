"""Policy documents: facts in, decision out.

A leaf package: text in, checked documents and decisions out. What is not allowed by a document is denied.
"""
