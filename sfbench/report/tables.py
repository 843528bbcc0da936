"""The leaderboard: its cells as people read them, and the CSV tables behind them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sfbench.contracts import differences
from sfbench.report.entries import Entry, sections
from sfbench.report.intervals import Estimate, clopper_pearson
from sfbench.report.ranking import Pair, compare_all, rank_of
from sfbench.report.rate import Rate
from sfbench.report.tabular import Table, to_csv
from sfbench.report.tally import MAX_UNMEASURED_SHARE, Tally

NOTE = (
    "Success is the mean over tasks of the share of episodes solved among those measured (n). The "
    "95 % interval is for these tasks with other initial states (and training seeds); the second "
    "one for other tasks of the same kind. Errors and invalid episodes are no failures: they stand "
    "beside. Where there are any, or planned episodes are missing, the mean is the strict one: "
    "policy errors, invalid and missing episodes count as failures. Rank is 1 + the number of "
    "policies that are better at the 5 % level on the tasks that both were to play, corrected for "
    "all pairs (Holm). Episodes that "
    "share an initial state, as repeats and training seeds do, are a cluster. A line of which "
    f"more than {100 * MAX_UNMEASURED_SHARE:g} % was not measured is marked unpublishable."
)

NAME_COLUMNS = (
    "suite", "card", "split", "policy", "preset", "weights", "arm", "demos", "train_step",
)  # fmt: skip
COUNT_COLUMNS = ("successes", "n", "planned", "policy_errors", "system_errors", "invalid")
LEADERBOARD_COLUMNS = (
    "rank", *NAME_COLUMNS, "mean_pct", "low_pct", "high_pct", "tasks_low_pct", "tasks_high_pct",
    "train_seeds", *COUNT_COLUMNS, "complete", "publishable", "comparable", "flip_pct",
    "flip_low_pct", "flip_high_pct", "repeated",
)  # fmt: skip
TASK_COLUMNS = (
    *NAME_COLUMNS, "task", "success_pct", "low_pct", "high_pct", "wilson_low_pct",
    "wilson_high_pct", "exact_low_pct", "exact_high_pct", *COUNT_COLUMNS, "strict_pct",
)  # fmt: skip
PAIR_COLUMNS = (
    "suite", "card", "first", "second", "kind", "shared", "first_only", "second_only", "gap_pct",
    "low_pct", "high_pct", "p", "p_holm", "decided",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """One table: entries of one suite and card, best first.

    Attributes:
        suite: its name.
        card: hash of the protocol that all of them share.
        entries: the lines.
        rank: by `id` of the entry.
        pairs: every pair, corrected together.
        not_comparable: why these rows do not compare with published ones, or ''.
        other_cards: other cards of this suite in the report, and in what they differ; or ''.
    """

    suite: str
    card: str
    entries: Sequence[Entry]
    rank: Mapping[int, int]
    pairs: Sequence[Pair]
    not_comparable: str
    other_cards: str

    @property
    def warnings(self) -> list[str]:
        """Sentences that belong above the rows."""
        found = []
        if self.not_comparable:
            found.append(f"Not comparable with published numbers: {self.not_comparable}.")
        if self.other_cards:
            found.append(
                f"Not to be compared with the other table of this suite: {self.other_cards}."
            )
        return found


def make_sections(entries: Sequence[Entry]) -> list[Section]:
    """Rank the entries of every suite and card."""
    made = []
    found = sections(entries)
    for (suite, card), some in found.items():
        pairs = compare_all(some)
        others = [_against(card, some, *other) for other in found.items() if other[0][0] == suite]
        notes = (_not_comparable(some), "; ".join(text for text in others if text))
        made.append(Section(suite, card, some, rank_of(some, pairs), pairs, *notes))
    return made


def percent(value: float) -> str:
    """`62.0`; empty for NaN."""
    return f"{100 * value:.1f}" if value == value else ""


def span(interval: Estimate | Rate | None) -> str:
    """`48.2 to 74.1`: a 95 % interval in percent; empty where there is none."""
    if interval is None or (isinstance(interval, Rate) and not interval.n):
        return ""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def leaderboard_csv(made: Iterable[Section]) -> str:
    """One line per entry."""
    return to_csv(
        LEADERBOARD_COLUMNS,
        (_leaderboard_line(section, entry) for section in made for entry in section.entries),
    )


def tasks_csv(entries: Iterable[Entry]) -> str:
    """One line per entry and task."""
    return to_csv(
        TASK_COLUMNS,
        (
            [*_names(entry), task, percent(counts.rate.value), *_bounds(entry.task_rate(task)),
             *_bounds(counts.rate), *_bounds(exact(counts)), *_counts(counts),
             percent(counts.strict.value)]
            for entry in entries
            for task, counts in entry.tasks.items()
        ),
    )  # fmt: skip


def pairs_csv(made: Iterable[Section]) -> str:
    """One line per pair of a section's entries."""
    return to_csv(
        PAIR_COLUMNS,
        (
            [section.suite, section.card, pair.first.label, pair.second.label,
             "paired" if pair.shared else "unpaired", pair.shared, *pair.discordant,
             percent(pair.gap.value), *_bounds(pair.gap), f"{pair.p:.3g}", f"{pair.p_holm:.3g}",
             str(pair.decided).lower()]
            for section in made
            for pair in section.pairs
        ),
    )  # fmt: skip


HEADINGS = ("rank", "policy", "mean %", "95 % interval", "other tasks", "n / planned", "errors",
            "invalid", "remarks")  # fmt: skip


def cells(section: Section, entry: Entry) -> list[str]:
    """A leaderboard line as people read it, under HEADINGS."""
    mean, counts = entry.mean, entry.total
    return [
        str(section.rank[id(entry)]) if mean else "",
        entry.label,
        percent(mean.value) if mean else "",
        span(mean),
        span(entry.mean_over_tasks),
        f"{counts.rate.n} / {counts.planned}",
        errors(counts),
        str(counts.invalid),
        remarks(entry, len(task_names(section.entries))),
    ]


def remarks(entry: Entry, tasks: int) -> str:
    """What a reader must know of a line, in a table whose lines have so many tasks in all."""
    found = [f"{len(entry.tasks)} of {tasks} tasks"] if len(entry.tasks) < tasks else []
    if len(entry.seeds) > 1:
        found.append(f"{len(entry.seeds)} training seeds")
    if not entry.total.complete:
        found.append("strict")
    if not entry.total.publishable:
        found.append("UNPUBLISHABLE: too much was not measured")
    if bool(entry.rows["leak"].any()):
        found.append("LEAK: trained on some of these states")
    return "; ".join(found)


def errors(counts: Tally) -> str:
    """Errors by whose fault they were."""
    if not counts.policy_errors and not counts.system_errors:
        return "0"
    return f"{counts.policy_errors} policy, {counts.system_errors} system"


def exact(counts: Tally) -> Rate:
    """The rate with the interval of Clopper and Pearson."""
    if not counts.rate.n:
        return counts.rate
    return clopper_pearson(counts.rate.successes, counts.rate.n)


def task_names(entries: Iterable[Entry]) -> list[str]:
    """All tasks of some entries, sorted."""
    return sorted({task for entry in entries for task in entry.tasks})


def task_cell(entry: Entry, task: str) -> str:
    """`62.0 (48.2 to 74.1), 31 of 50`: errors and invalid episodes stand beside."""
    counts = entry.tasks.get(task)
    if counts is None:
        return ""
    rate = entry.task_rate(task)
    if rate is None:
        return "not measured"
    beside = [f"{counts.rate.successes} of {counts.rate.n}"]
    lost = counts.policy_errors + counts.system_errors
    beside += [f"{lost} errors"] if lost else []
    beside += [f"{counts.invalid} invalid"] if counts.invalid else []
    return f"{percent(rate.value)} ({span(rate)}), {', '.join(beside)}"


def task_table(section: Section) -> Table:
    """Tasks by policies."""
    lines = [
        [task, *(task_cell(entry, task) for entry in section.entries)]
        for task in task_names(section.entries)
    ]
    headings = ("task", *(entry.label for entry in section.entries))
    note = (
        "Success in %, (95 % interval: Wilson's, or with several training seeds Student's over "
        "these), solved of measured; errors stand beside."
    )
    return Table(f"Tasks of {section.suite}", note, headings, lines)


def _not_comparable(entries: Sequence[Entry]) -> str:
    """What the card itself says against a comparison with published numbers."""
    for entry in entries:
        for run in entry.runs:
            reason = run.card.env.get("not_comparable")
            if reason:
                return str(reason)
    return ""


def _against(
    card: str, entries: Sequence[Entry], place: tuple[str, str], others: Sequence[Entry]
) -> str:
    """In what another card of the same suite differs; '' for the card itself."""
    if place[1] == card:
        return ""
    env, other_env = (some[0].runs[0].card.env for some in (entries, others))
    fields = [line.partition(":")[0] for line in differences(env, other_env)]
    more = f" and {len(fields) - 4} more" if len(fields) > 4 else ""
    return f"card {place[1]} differs in {', '.join(fields[:4]) or 'fields unknown'}{more}"


def _leaderboard_line(section: Section, entry: Entry) -> list[object]:
    mean = entry.mean
    return [
        section.rank[id(entry)] if mean else "",
        *_names(entry),
        percent(mean.value) if mean else "",
        *_bounds(mean),
        *_bounds(entry.mean_over_tasks),
        len(entry.seeds),
        *_counts(entry.total),
        str(entry.total.complete).lower(),
        str(entry.total.publishable).lower(),
        str(not section.not_comparable).lower(),
        percent(entry.flips.rate.value) if entry.flips else "",
        *_bounds(entry.flips.rate if entry.flips else None),
        entry.flips.episodes if entry.flips else 0,
    ]


def _names(entry: Entry) -> list[object]:
    key = entry.key
    numbers = ["" if number < 0 else number for number in (key.demos, key.train_step)]
    return [key.suite, key.card, key.split, key.policy, key.preset, key.weights, key.arm, *numbers]


def _counts(counts: Tally) -> list[object]:
    return [
        counts.rate.successes,
        counts.rate.n,
        counts.planned,
        counts.policy_errors,
        counts.system_errors,
        counts.invalid,
    ]


def _bounds(interval: Estimate | Rate | None) -> list[str]:
    if interval is None or (isinstance(interval, Rate) and not interval.n):
        return ["", ""]
    return [percent(interval.low), percent(interval.high)]
