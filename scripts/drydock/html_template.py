"""How this command line's pages are made of templates: escaped, and with no value missing."""

from pathlib import Path

import jinja2


def load(file: Path) -> jinja2.Template:
    """The template in a file. What it asks for and is not given is an error when it is rendered."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(file.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(file.name)
