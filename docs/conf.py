"""Sphinx's settings. `make docs` puts the sources together and builds the site (tools/build_docs.py)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import graphattend

project = "graphattend"
author = "the authors of graphattend"
release = version = graphattend.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docsite.docstrings",
    "sphinx.ext.napoleon",
    "docsite.mathml",
    "docsite.typescript",
]
exclude_patterns = ["_*"]

myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_inline", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

html_theme = "furo"
html_title = "graphattend"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["site.css"]
html_js_files = [("live.js", {"data-live": "yes"})]
html_math_renderer = "mathml"
html_copy_source = False
html_show_search_summary = False  # it is read by requests, which pages opened from disk cannot make
html_last_updated_fmt = None
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
