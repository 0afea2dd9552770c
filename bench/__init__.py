"""Measurements that anyone can repeat: one module a bench, each comparing two things in the same run.

Belongs here: timing whole processes or hot paths and printing ratios. Does not: assertions; those are tests.
"""
