"""usage: sfbench report FOLDER... -o DIR [options]

Writes leaderboard.md, .csv and .tex, tasks.csv, pairs.csv, episodes.parquet and index.html (with
the runs' videos) to DIR. Every figure is recomputed from the rows of the given folders: runs of
`sfbench eval`, trainings (their evaluations and metrics.jsonl), depth probes.

  --published FOLDER   CSV files with numbers from papers, shown apart (default results/published)
  --baseline ARM       the arm that others are compared with (default baseline)
  --level PERCENT      a success at which curves are compared (default 50), besides the baseline's
                       final one; may be given several times
  --detect POINTS      a difference: tables say how many episodes show it (default 5)
  --serve              show the page at an address of this machine, until Ctrl-C
  tracker=wandb|tensorboard|none   mirror the aggregates (default none)
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sfbench.cli.options import take
from sfbench.errors import UnknownNameError, UsageError


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
    baseline = take(rest, "--baseline") or "baseline"
    wished = _percent("--detect", take(rest, "--detect") or "5", highest=50)
    levels = []
    while (level := take(rest, "--level")) is not None:
        levels.append(_percent("--level", level, highest=100))
    tracker = _tracker(rest)
    for text in rest:
        if text.startswith("-"):
            raise UsageError(f"unknown option '{text}'; usage: sfbench report RUN... -o DIR")

    from sfbench.report.trackers import mirror
    from sfbench.report.training import Matching
    from sfbench.report.write import Options, write_report

    matching = Matching(baseline, levels or Matching().levels)
    options = Options(Path(published), matching, wished)
    report = write_report([Path(text) for text in rest], Path(out), options)
    mirror(tracker, report.document, Path(out))
    print((Path(out) / "leaderboard.md").read_text())
    print(f"page with videos: {Path(out) / 'index.html'}")
    if serve:
        _serve(Path(out))
    return 0


TRACKERS = ("none", "tensorboard", "wandb")


def _tracker(rest: list[str]) -> str:
    given = [text for text in rest if text.startswith("tracker=")]
    for text in given:
        rest.remove(text)
    name = given[-1].removeprefix("tracker=") if given else "none"
    if name not in TRACKERS:
        raise UnknownNameError("tracker", name, TRACKERS)
    return name


def _percent(option: str, text: str, highest: float) -> float:
    """A share from a text in percent."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= highest:
        raise UsageError(f"{option} {text}: allowed is a number above 0, up to {highest:g}")
    return value / 100


def _serve(folder: Path) -> None:
    """Show the page on loopback, on a free port, until interrupted."""
    from sfbench.report.serve import make_server

    with make_server(folder) as server:
        print(f"showing it at http://127.0.0.1:{server.server_port}/ until Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
