"""Settings of the site; `docs/build.py` gathers its pages and runs Sphinx."""

import sys
from pathlib import Path

import bayes_scaling

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "bayes_scaling"
author = "The bayes_scaling developers"
release = version = bayes_scaling.__version__
extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "mathml",
]

html_theme = "pydata_sphinx_theme"
html_title = "bayes_scaling"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "bayes_scaling"},
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "start": []}
project_copyright = "the bayes_scaling developers, Apache-2.0"

nitpicky = True
# Types of others, and rooms that have no page: a name in code font is enough.
nitpick_ignore_regex = [("py:.*", r"(?!bayes_scaling\.).*"), ("py:.*", r"bayes_scaling(\.\w+)*\.[a-z_]+(\.\w+)*")]

autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # pages show the outputs that a notebook is kept with
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
suppress_warnings = ["mystnb.unknown_mime_type"]
