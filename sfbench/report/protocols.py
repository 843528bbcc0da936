"""Which runs share a table: those whose protocols agree wherever they meet."""

from collections.abc import Sequence

import pandas as pd

from sfbench.contracts import ProtocolCard
from sfbench.report.runs import Run


def table_cards(rows: pd.DataFrame, runs: Sequence[Run]) -> pd.Series:
    """The card of the table that each row belongs to, as texts.

    A row's own card concerns its task alone. Runs of other tasks share a table if their cards are
    equal but for `tasks`, and no task has two cards among them: the table's card then has all of
    their tasks. Where a task does have two, every run stands under its own card. Rows of a run
    whose card tells no tasks apart keep theirs.
    """
    cards = [run.card for run in runs]
    groups: dict[str, list[int]] = {}
    for index, card in enumerate(cards):
        if card.tasks:
            groups.setdefault(card.of_tasks(()).hash, []).append(index)
    chosen: dict[int, str] = {}
    for members in groups.values():
        own = rows.loc[rows["run"].isin(members), ["task", "card"]].drop_duplicates()
        agree = not own["task"].duplicated().any()
        joined = _joined([cards[index] for index in members]).hash
        chosen.update({index: joined if agree else cards[index].hash for index in members})
    if not chosen:
        return rows["card"]
    return rows["run"].map(chosen).astype(object).fillna(rows["card"].astype(object))


def _joined(cards: Sequence[ProtocolCard]) -> ProtocolCard:
    whole = cards[0]
    for card in cards[1:]:
        whole = whole.joined(card)
    return whole
