import datetime as dt

import numpy as np
import polars as pl
import pytest

from research.models.model_metrics import information_coefficients
from research.models.model_pictures import coefficients_picture, grouped, groups_picture

DAY = dt.date(2024, 1, 1)
PNG = b"\x89PNG"


def table(days: int = 30, entities: int = 23) -> pl.DataFrame:
    random = np.random.default_rng(0)
    dates = [DAY + dt.timedelta(n) for n in range(days) for _ in range(entities)]
    names = [f"E{n:02}" for _ in range(days) for n in range(entities)]
    prediction = random.normal(size=len(dates))
    target = prediction / 2 + random.normal(size=len(dates))
    return pl.DataFrame({"date": dates, "entity": names, "prediction": prediction, "target": target})


def test_groups_equal_cutting_up_each_day_by_hand() -> None:
    rows = table()
    means = np.zeros((30, 10, 2))
    for place, (_, day) in enumerate(rows.group_by("date", maintain_order=True)):
        values = day.sort("prediction").select("prediction", "target").to_numpy()
        values = values - values.mean(axis=0)
        group = np.arange(23) * 10 // 23
        for number in range(10):
            means[place, number] = values[group == number].mean(axis=0)

    assert grouped(rows)["group"].to_list() == list(range(1, 11))
    assert grouped(rows).select("prediction", "target").to_numpy() == pytest.approx(means.mean(axis=0))


@pytest.mark.parametrize(("entities", "groups"), [(2, 0), (3, 3), (7, 7), (10, 10), (40, 10)])
def test_few_entities_make_fewer_groups(entities: int, groups: int) -> None:
    assert grouped(table(entities=entities)).height == groups


def test_pictures_are_drawn() -> None:
    rows = table()
    windows = [(DAY, DAY + dt.timedelta(14)), (DAY + dt.timedelta(15), DAY + dt.timedelta(29))]
    coefficients = coefficients_picture(information_coefficients(rows), windows=windows)
    groups = groups_picture(rows)

    assert coefficients is not None
    assert groups is not None
    assert (coefficients.title, groups.title) == ("Information coefficient", "Predicted and realised")
    assert coefficients.png.startswith(PNG)
    assert groups.png.startswith(PNG)
    assert max(len(coefficients.png), len(groups.png)) < 100_000


def test_there_is_no_picture_of_nothing() -> None:
    assert coefficients_picture(information_coefficients(table(entities=2)), windows=[]) is None
    assert groups_picture(table(entities=2)) is None
