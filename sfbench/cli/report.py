"""usage: sfbench report FOLDER... [-o DIR] [fill=PAGE.md] [check=PAGE.md] [rows=DIR] [options]

With -o it writes leaderboard.md, .csv and .tex, tasks.csv, pairs.csv, episodes.parquet and
index.html (with the runs' videos) to DIR. Every figure is recomputed from the rows of the given
folders: runs of `sfbench eval`, trainings (their evaluations and metrics.jsonl), depth probes, and
folders with the episodes.parquet and runs.json of an earlier report.

  fill=PAGE.md         rewrite the marked blocks of a Markdown page, and nothing else
  check=PAGE.md        change nothing; exit status 1 if a block is not as the rows say
  rows=DIR             write nothing but the rows, to be committed: episodes.parquet, runs.json and,
                       of depth probes, probes/;
  root=FOLDER          with rows=: paths below it are stored without it
  --published FOLDER   CSV files with numbers from papers, shown apart (default results/published)
  --baseline ARM       the arm that others are compared with (default baseline)
  --level PERCENT      a success at which curves are compared (default 50), besides the baseline's
                       final one; may be given several times
  --data-step STEP     training step of the data-efficiency curves (default: the last one that all
                       numbers of demonstrations were measured at)
  --detect POINTS      a difference: tables say how many episodes show it (default 5)
  --serve              show the page at an address of this machine, until Ctrl-C
  tracker=wandb|tensorboard|none   mirror the aggregates (default none)

Blocks of a page:

  <!-- sfbench: leaderboard suite=NAME arm=sf,baseline -->  a table is written here  <!-- end -->
  Success is <!-- sfbench: value success arm=sf task=NAME -->12.3 % (10.1 to 14.8)<!-- end -->.

  tables   leaderboard, overview, tasks, pairs, resolution, curves, data_efficiency, ratios
           (kind=steps|demos), probe (model= layer= head= split=), published,
           csv file=PATH [columns=a,b] (PATH from the page's folder)
  values   success, episodes (arm= task=), seeds, gain (arm= over=),
           speed-up, data-saving, steps-needed, demos-needed (arm= over= level=PERCENT|final),
           depth (model= layer= head= split= metric=absrel|rmse_m|delta1),
           cell file=PATH row=FIRST_CELL column=NAME
  options  suite= card=FIRST_DIGITS split= policy= arm= demos= step= choose among lines;
           a value takes all demonstrations and the last step where these are not said
"""  # noqa: D415 (a usage text)

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sfbench.cli.options import take
from sfbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from sfbench.report.content import Content, Options


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench report`."""
    rest = list(arguments)
    out = take(rest, "-o")
    fill, check, rows, root = (
        _take_all(rest, f"{key}=") for key in ("fill", "check", "rows", "root")
    )
    serve = "--serve" in rest
    if serve:
        rest.remove("--serve")
    tracker = _tracker(rest)
    if out is None and (serve or tracker != "none" or not (fill or check or rows)):
        raise UsageError("say where the report goes: sfbench report RUN... -o DIR")
    options = _take_options(rest)
    for text in rest:
        if text.startswith("-"):
            raise UsageError(f"unknown option '{text}'; usage: sfbench report RUN... -o DIR")

    from sfbench.report.content import read_content

    given = [Path(text) for text in rest]
    content = read_content(given, options)
    if out is not None:
        _write(content, Path(out), tracker)
    for folder in rows:
        _store(content, given, Path(folder), Path(root[-1]) if root else None)
    status = _pages(content, fill, check)
    if serve and out is not None:
        _serve(Path(out))
    return status


def _take_options(rest: list[str]) -> "Options":
    """What a reader may wish for, taken out of the arguments."""
    published = take(rest, "--published") or "results/published"
    baseline = take(rest, "--baseline") or "baseline"
    wished = _percent("--detect", take(rest, "--detect") or "5", highest=50)
    data_step = _step(take(rest, "--data-step"))
    levels = []
    while (level := take(rest, "--level")) is not None:
        levels.append(_percent("--level", level, highest=100))

    from sfbench.report.content import Options
    from sfbench.report.training import Matching

    matching = Matching(baseline, levels or Matching().levels, data_step)
    return Options(Path(published), matching, wished)


def _write(content: "Content", out: Path, tracker: str) -> None:
    from sfbench.report.trackers import mirror
    from sfbench.report.write import write_report

    write_report(content, out)
    mirror(tracker, content.document, out)
    print((out / "leaderboard.md").read_text())
    print(f"page with videos: {out / 'index.html'}")


def _store(content: "Content", given: Sequence[Path], folder: Path, root: Path | None) -> None:
    from sfbench.report.inputs import PROBES, sort_folders
    from sfbench.report.probe import store_probe
    from sfbench.report.stored import ROWS, RUNS, write_stored

    rows, probes = content.loaded.rows, sort_folders(given).probes
    if len(rows):
        write_stored(rows, content.loaded.runs, folder, root)
        print(f"{folder / ROWS} and {RUNS}: {len(rows)} rows")
    for probe in probes:
        store_probe(probe, folder / PROBES / probe.name, root)
    if probes:
        print(f"{folder / PROBES}: {len(probes)} depth probes")


def _pages(content: "Content", fill: Sequence[str], check: Sequence[str]) -> int:
    """Fill and check pages; 1 where one is not as the rows say."""
    from sfbench.report.filling.page import fill_page, first_outdated

    for page in fill:
        print(f"{page}: {fill_page(Path(page), content)} blocks are as the rows say")
    status = 0
    for page in check:
        found = first_outdated(Path(page), content)
        if found is None:
            print(f"{page}: every block is as the rows say")
            continue
        status = 1
        print(
            f"{page}, line {found.block.line}, '{found.block.words}': the page has\n"
            f"{found.block.body.strip()}\nthe rows give\n{found.fresh.strip()}",
            file=sys.stderr,
        )
    return status


def _take_all(rest: list[str], prefix: str) -> list[str]:
    """Remove all arguments that begin so; what follows the prefix."""
    found = [text for text in rest if text.startswith(prefix)]
    for text in found:
        rest.remove(text)
    if prefix in found:
        raise UsageError(f"{prefix} needs a value; see sfbench report --help")
    return [text.removeprefix(prefix) for text in found]


def _step(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise UsageError(f"--data-step {text}: allowed is a number of training steps")
    return int(text)


TRACKERS = ("none", "tensorboard", "wandb")


def _tracker(rest: list[str]) -> str:
    name = (_take_all(rest, "tracker=") or ["none"])[-1]
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
