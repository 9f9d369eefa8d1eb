"""Unknown words: each is told with its place and the word that was most likely meant, however deep it stands."""

from pydantic import BaseModel, ConfigDict, Field

from definitions.contract import Definition, Kind
from definitions.errors import InvalidConfig
from definitions.known_words import unknown_fields, unknown_word


class Window(BaseModel):
    days: int = 5


class OfOthers(BaseModel):
    """A schema as a team writes it, which passes over what it does not know."""

    window: Window = Window()
    windows: tuple[Window, ...] = ()
    free: dict[str, int] = {}
    by_name: dict[str, Window | None] = {}
    source: str = Field(default="x", alias="from")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


def test_a_word_is_told_with_the_nearest_one() -> None:
    assert unknown_word("scedule", {"schedule"}) == "is not a field that there is; did you mean 'schedule'?"
    assert unknown_word("zzz", {"b", "a"}) == "is not a field that there is; there are: a, b"
    assert unknown_word(7, set()) == "is not a field that there is; there are: none"


def test_nested_words_are_found() -> None:
    data = {"window": {"dais": 1}, "windows": [{"days": 1}, {"day": 2}], "free": {"any": 1}, "from": "y", "more": 1}
    data |= {"by_name": {"day": None, "x": {"days": 1}, "y": {"dys": 1}}}
    found = {place: what.partition("; ")[2] for place, what in unknown_fields(OfOthers, data)}
    assert found == {
        "window.dais": "did you mean 'days'?",
        "windows.1.day": "did you mean 'days'?",
        "by_name.y.dys": "did you mean 'days'?",
        "more": "there are: by_name, free, from, window, windows",
    }
    assert list(unknown_fields(Open, {"anything": 1})) == []


def test_a_definition_whose_schema_passes_over_them_refuses_them_too() -> None:
    definition = Definition(Kind.PIPELINE, "theirs", 1, "Theirs.", OfOthers, lambda parameters, resources: None)
    try:
        definition.parse({"window": {"dais": 1}})
    except InvalidConfig as error:
        told = str(error)
    assert told.startswith(
        "the config does not fit pipeline theirs@1: config.window.dais: is not a field that there is; did you mean "
        "'days'? Its parameters are: window"
    )
    assert definition.parse({"window": {"days": 1}}) == OfOthers(window=Window(days=1))
