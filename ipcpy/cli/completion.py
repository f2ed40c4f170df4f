"""``ipcpy completion``: the scripts with which shells complete commands, options and topic names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command(short_help="Print the script that makes topic names complete.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes commands, options and topic names complete in a shell.

    \b
    To have it in every new shell:
      bash   echo 'eval "$(ipcpy completion bash)"' >> ~/.bashrc
      zsh    echo 'eval "$(ipcpy completion zsh)"' >> ~/.zshrc
      fish   ipcpy completion fish > ~/.config/fish/completions/ipcpy.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"this version of click has no completion for {shell}")
    program = ctx.find_root().command
    click.echo(made(program, {}, "ipcpy", "_IPCPY_COMPLETE").source())
