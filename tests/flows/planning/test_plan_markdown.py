"""A plan as the page that bootstrap keeps."""

from flows.bootstrap import plan_markdown
from instances.plans.plan import Action, Change, Plan, Step


def test_what_changes_is_a_table() -> None:
    changes = (Change("description", "One | two", "With `code`\nand a line"), Change("protect", False, True))
    page = plan_markdown(Plan((Step("block", "prices", Action.UPDATE, changes),)))
    assert page.splitlines()[-4:] == [
        "| field | before | after |",
        "| --- | --- | --- |",
        "| description | `One \\| two` | `\"With 'code'\\nand a line\"` |",
        "| protect | `false` | `true` |",
    ]
