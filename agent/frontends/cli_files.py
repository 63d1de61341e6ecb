"""`treadle files` on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from treadle.agent.frontends.options import CONTEXT


@click.group(context_settings=CONTEXT)
def files() -> None:
    r"""Look after a provider's store of files.

    \b
    treadle files upload --vendor openai report.pdf
    treadle files list --vendor gemini --json | jq .expires
    treadle files rm --vendor anthropic file_011CNha8iCJcU1wXNR6q4V8w
    """


_vendor = click.option("--vendor", required=True, metavar="NAME", help="As in openai, anthropic, gemini.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@files.command("upload", context_settings=CONTEXT)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_vendor
@click.option("--mime", help="What the files are; by default their names say it.")
@_json
def files_upload(paths: tuple[Path, ...], vendor: str, mime: str | None, as_json: bool) -> int:
    r"""Put files there, and tell the ids that requests name them by. Progress goes to standard error.

    \b
    treadle files upload --vendor gemini film.mp4 --json | jq -r .id

    \b
    Exit code: 0 done · 1 usage · 2 at least one was refused
    """
    from treadle.agent.frontends.files import upload_files

    return upload_files(vendor, paths, mime, as_json=as_json)


@files.command("list", context_settings=CONTEXT)
@_vendor
@_json
def files_list(vendor: str, as_json: bool) -> int:
    """Tell every file that is there: id, name, type, bytes, and until when, with tabs between them."""
    from treadle.agent.frontends.files import list_files

    return list_files(vendor, as_json=as_json)


@files.command("rm", context_settings=CONTEXT)
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@_vendor
@_json
def files_rm(names: tuple[str, ...], vendor: str, as_json: bool) -> int:
    """Delete files there.

    Exit code: 0 done · 1 usage · 2 at least one could not be deleted
    """
    from treadle.agent.frontends.files import remove_files

    return remove_files(vendor, names, as_json=as_json)
