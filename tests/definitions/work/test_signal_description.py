"""What a refresh says of a signal: distribution, coverage by date, and what has changed."""

import datetime as dt

import polars as pl

from definitions.work.signal_description import signal_description


def rows(values: dict[str, list[float | None]]) -> pl.DataFrame:
    """Return the rows of entities A, B, ... on dates, for which there are values."""
    found = [
        {"date": dt.date.fromisoformat(date), "entity": entity, "value": value}
        for date, of_date in values.items()
        for entity, value in zip("ABCDE", of_date, strict=False)
    ]
    return pl.DataFrame(found, schema={"date": pl.Date, "entity": pl.String, "value": pl.Float64})


NOW = rows({"2024-01-02": [1.0, 2.0, 3.0], "2024-01-03": [4.0, None], "2024-01-04": [5.0, 6.0, float("nan")]})


def described(before: pl.DataFrame | None, now: pl.DataFrame | None = NOW) -> str:
    return "\n".join(signal_description(before, now, value_column="value"))


def test_the_distribution_is_that_of_all_dates_and_of_the_newest() -> None:
    lines = described(None).splitlines()
    assert lines[0] == "It is the first version."
    assert "| distribution | all dates | 2024-01-04 |" in lines
    assert "| minimum | 1 | 5 |" in lines
    assert "| median | 3.5 | 5.5 |" in lines
    assert "| maximum | 6 | 6 |" in lines
    assert "| without a value | 2 | 1 |" in lines


def test_the_coverage_is_told_by_date_with_the_poorest_one() -> None:
    told = described(None)
    assert "3 dates, usually with values of 2 entities; the fewest, 1, on 2024-01-03." in told
    assert told.splitlines()[-3:] == ["| 2024-01-04 | 2 |", "| 2024-01-03 | 1 |", "| 2024-01-02 | 3 |"]


def test_what_has_changed_is_counted() -> None:
    assert described(NOW).splitlines()[0] == (
        "Beside the version before: 0 rows are new, 0 are gone, 0 have another value."
    )
    before = rows({"2024-01-01": [9.0], "2024-01-02": [1.0, 2.5, 3.0], "2024-01-03": [4.0, 7.0]})
    assert described(before).splitlines()[0] == (
        "Beside the version before: 3 rows are new, 1 are gone, 2 have another value, the earliest on 2024-01-02."
    )


def test_other_columns_and_no_rows_are_said() -> None:
    assert described(NOW.rename({"value": "score"})).startswith("The version before had other columns.")
    assert described(NOW, NOW.clear()) == "There are no rows."
    assert described(None, None) == "There are no rows."
    nothing = rows({"2024-01-02": [None, None]})
    assert "| median | – | – |" in described(None, nothing)
