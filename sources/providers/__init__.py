"""The providers whose feeds `monsoon feed` can read, one YAML file each.

Belongs here: fields, units, scales, clocks and areas of a feed as it is published, as data, with what vouches for them.
Does not: code, keys or addresses of anybody's account; a feed that nobody here has seen documented.
"""
