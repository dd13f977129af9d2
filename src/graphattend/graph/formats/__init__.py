"""File formats of graphs, one a module."""
