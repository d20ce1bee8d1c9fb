"""`python -m fraud figures`: the PNGs of resultados/, drawn again from the release's own predictions."""

import argparse
from pathlib import Path
from typing import Any

from fraud.settings import Settings


def add_figures(commands: Any) -> None:
    """Add `figures`."""
    figures = commands.add_parser(
        "figures", help="draw resultados/*.png again from the release's predictions"
    )
    figures.add_argument("--bundle", type=Path, help="directory of a release (default: artifacts/)")
    figures.add_argument("--out", type=Path, help="write the PNGs there and leave the release as it is")
    figures.set_defaults(run=_figures)


def _figures(options: argparse.Namespace, settings: Settings) -> None:
    from fraud.models.redraw import RESULTS, redraw
    from fraud.models.report import FIGURES
    from fraud.models.signing import read_signing_key, read_trusted_keys

    directory = options.bundle or settings.models.artifacts
    names = redraw(
        directory,
        out=options.out,
        key=read_signing_key(settings.releases.signing_key),
        trusted=read_trusted_keys(settings.releases.trusted_keys),
    )
    for name in names:
        print(f"wrote {(options.out or directory / RESULTS) / name}")
    for name in sorted(set(FIGURES) - set(names)):
        print(f"left {name} as it was: this release kept no training curves; train again to draw it")
