"""What an export says, for people and machines: where records went, or what a lock's parts are for Energon."""

from collections.abc import Sequence

import msgspec

from pipelines.energon import METADATASET, Split
from pipelines.export import Exported
from pipelines.show import grouped, ledger_table, print_json, table_of, terminal


def exported(told: Exported, to: str, as_json: bool) -> None:
    """Where the records of an export went."""
    if as_json:
        print_json(msgspec.to_builtins(told))
        return
    console = terminal()
    console.print(ledger_table(told.ledger, f"{told.kind} {told.name}, form {told.form}, dialect {told.dialect}"))
    pictures = f", {told.pictures:,} pictures" if told.pictures else ""
    console.print(f"{to}: {told.records:,} records{pictures}", highlight=False, soft_wrap=True)


def blended(splits: Sequence[Split], to: str, as_json: bool) -> None:
    """What a lock's parts are in a metadataset for Energon."""
    if as_json:
        print_json([{"part": str(one.part.part), "samples": one.samples, "unseen": one.unseen} for one in splits])
        return
    console = terminal()
    table = table_of("part", "records", "samples", "records shown besides")
    for one in splits:
        table.add_row(str(one.part.part), *map(grouped, (one.part.records, one.samples, one.unseen)))
    console.print(table)
    console.print(f"{to}: {METADATASET} of {len(splits):,} parts", highlight=False, soft_wrap=True)
