"""From a template and its content to a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2


def render(template: str, content: Mapping[str, Any]) -> str:
    """Return a page of the report: a template of this folder, filled in; what is missing is an error."""
    loader = jinja2.PackageLoader("bayes_scaling.report", package_path="")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(content)
