"""Imports the class of graphs before doctests of a single file are collected, which would make a second one of it."""

import graphattend.graph.neighbor_graph  # noqa: F401
