"""The command ``metrics``."""

from __future__ import annotations

import sys

import click


@click.command("metrics")
@click.argument("pattern", default="")
def metrics_command(pattern: str) -> int:
    """List the metrics that budgets and --metric can name; with PATTERN, those in whose row it occurs."""
    from mrsim.report.metrics import metrics_found, metrics_page
    from mrsim.report.terminal import page_of

    width, colour = page_of(sys.stdout)
    click.echo(metrics_page(metrics_found(pattern), width=width, colour=colour), nl=False)
    return 0
