"""Where results go, by technology; and the payments that follow from them.

Belongs here: writing records whole, in a stable order, so that a reader never sees half a result. Does not: deciding
the content of records.
"""
