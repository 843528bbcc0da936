"""usage: sfbench report RUN... -o DIR [--published FOLDER] [--serve]

Writes leaderboard.md, .csv and .tex, tasks.csv, pairs.csv, episodes.parquet and index.html (with
the runs' videos) to DIR. Every figure is recomputed from the rows of the given run folders. Numbers
from papers (FOLDER/*.csv, default results/published) are shown apart. With --serve the page is then
shown at an address of this machine, until Ctrl-C.
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sfbench.cli.options import take
from sfbench.errors import UsageError
from sfbench.report.write import write_report


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench report`."""
    rest = list(arguments)
    out = take(rest, "-o")
    if out is None:
        raise UsageError("say where the report goes: sfbench report RUN... -o DIR")
    serve = "--serve" in rest
    if serve:
        rest.remove("--serve")
    published = take(rest, "--published") or "results/published"
    for text in rest:
        if text.startswith("-"):
            raise UsageError(f"unknown option '{text}'; usage: sfbench report RUN... -o DIR")
    write_report([Path(text) for text in rest], Path(out), Path(published))
    print((Path(out) / "leaderboard.md").read_text())
    print(f"page with videos: {Path(out) / 'index.html'}")
    if serve:
        _serve(Path(out))
    return 0


def _serve(folder: Path) -> None:
    """Show the page on loopback, on a free port, until interrupted."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(f"showing it at http://127.0.0.1:{server.server_port}/ until Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
