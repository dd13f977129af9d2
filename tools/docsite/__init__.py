"""The documentation site: pages that are written from the library, and Sphinx's extensions for them."""
