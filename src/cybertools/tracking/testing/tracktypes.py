"""Track types: subclasses of `Track` with index attributes of their own."""

from typing import Any

import pytest

from cybertools.tracking.errors import InvalidData, InvalidType, InvalidValue, UnknownCriterion
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, Comment, Opener, at, ids
from cybertools.tracking.track import Track

__all__ = ["TypesContract"]


class RatedComment(Comment):
    """What `Comment` has become: there is one more to query by."""

    index_attributes = (*Comment.index_attributes, "rating")


VALUES: list[Any] = [
    "new",
    "newer",
    "NEW",
    "",
    "1",
    "*",
    "ä",
    "😀",
    "\U0010ffff",
    1,
    1.0,
    1.5,
    0,
    -0.0,
    -7,
    True,
    False,
    2**53 + 1,
    2**62,
    10**30,
    1e308,
    None,
    ["new"],
    {"new": 1},
    [],
]


def matches(wanted: Any, value: Any) -> bool:
    """Texts are equal to texts, numbers to numbers; truth is a number."""
    number = int | float
    return (isinstance(wanted, str) and isinstance(value, str) and wanted == value) or (
        isinstance(wanted, number) and isinstance(value, number) and wanted == value
    )


class TypesContract(BaseContract):
    """What a track type adds."""

    @pytest.fixture
    def comments(self, open: Opener) -> Any:
        """A storage of comments in all states that there can be, and two without one."""
        with open("comments", Comment) as comments:
            comments.saveUserTracks(
                {
                    "taskId": f"a{n % 3}",
                    "userName": f"u{n % 2}",
                    "data": {"state": value, "n": n},
                    "timeStamp": at(-n),
                }
                for n, value in enumerate(VALUES)
            )
            comments.saveUserTracks(
                {"taskId": "a0", "userName": "u0", "data": data, "timeStamp": at(0)}
                for data in ({}, {"other": {"state": "new"}})
            )
            yield comments
            assert comments.check() == []

    @staticmethod
    def states(found: list[Track]) -> list[Any]:
        return [track.data.get("state") for track in found]

    def test_tracks_are_of_the_type(self, comments: Storage) -> None:
        track = comments["0000001"]
        assert type(track) is Comment
        assert track.state == "new"
        assert comments["0000022"].state is None
        assert comments["0000023"].state == ["new"]
        assert comments[list(comments)[-1]].state is None
        assert all(type(each) is Comment for each in comments.query(taskId="a0"))
        last = comments.getLastUserTrack("a0", 0, "u0")
        assert type(last) is Comment
        assert repr(track).startswith("<Comment ['a0', 1, 'u0', '2007-05-01 09:28']: {'state'")
        with pytest.raises(AttributeError, match="'Comment' object has no attribute 'rating'"):
            track.rating  # noqa: B018

    @pytest.mark.parametrize(
        "value", [value for value in VALUES if isinstance(value, str | float | int)], ids=repr
    )
    def test_query_by_one_value(self, comments: Storage, value: Any) -> None:
        if value == "*":
            pytest.skip("it is a prefix")
        expected = [other for other in VALUES if matches(value, other)]
        assert expected
        assert repr(self.states(comments.query(state=value))) == repr(expected)
        assert comments.countTracks(state=value) == len(expected)

    def test_query_by_values_that_are_not_there(self, comments: Storage) -> None:
        for value in ("1.0", "true", "null", "None", "[]", 2, 1.25, 2**63, -(10**30), 1e300):
            assert comments.query(state=value) == []
            assert comments.countTracks(state=[value]) == 0

    def test_query_by_a_list(self, comments: Storage) -> None:
        assert self.states(comments.query(state=["new", "NEW"])) == ["new", "NEW"]
        assert repr(self.states(comments.query(state=["1", 1]))) == "['1', 1, 1.0, True]"
        assert repr(self.states(comments.query(state=[0, "x", 1.5]))) == "[1.5, 0, -0.0, False]"
        assert comments.query(state=[]) == []

    @pytest.mark.parametrize("prefix", ["n", "new", "", "1", "ä", "\U0010ffff", "x"])
    def test_query_by_a_prefix(self, comments: Storage, prefix: str) -> None:
        expected = [v for v in VALUES if isinstance(v, str) and v.startswith(prefix)]
        assert self.states(comments.query(state=prefix + "*")) == expected
        assert comments.countTracks(state=[prefix + "*", "x"]) == len(expected)

    def test_query_by_all_together(self, comments: Storage) -> None:
        found = comments.query(
            state=["new*", 1], userName="u0", timeFrom=at(-10), order="timeStamp"
        )
        assert repr(self.states(found)) == "[1.0, 'new']"
        found = comments.query(state="*", order="-timeStamp", limit=2, after="0000002")
        assert self.states(found) == ["NEW", ""]
        assert [t.state for t in comments.iterTracks(state=1, taskId="a*")] == [1, 1.0, True]

    def test_none_is_no_criterion(self, comments: Storage) -> None:
        assert len(comments.query(state=None)) == len(comments)

    @pytest.mark.parametrize("wrong", [[None], {"a": 1}, float("nan"), [[1]], b"new", at])
    def test_values_that_cannot_be(self, comments: Storage, wrong: Any) -> None:
        with pytest.raises(InvalidType, match=r"^state must be text or a number, a list of them"):
            comments.query(state=wrong)

    def test_the_known_criteria_include_the_attribute(self, comments: Storage) -> None:
        with pytest.raises(
            UnknownCriterion,
            match=r"'stat'. Did you mean 'state'.*userName, timeStamp, state, timeFrom",
        ):
            comments.query(stat="new")

    def test_the_index_follows_changes(self, comments: Storage) -> None:
        id = comments.saveUserTrack("a9", 0, "u1", {"state": "open"})
        comments.updateTrack(id, {"state": "closed"})
        assert comments.query(state="open") == []
        assert ids(comments.query(state="closed")) == [id]
        comments.saveUserTrack("a9", 0, "u1", {"state": "final"}, update=True)
        assert ids(comments.query(state=["closed", "final"])) == [id]
        comments.saveUserTrack("a9", 0, "u1", {"n": 1}, replace=True)
        assert comments.query(state=["closed", "final"]) == []
        comments.updateTrack(id, {"state": "back"}, overwrite=True)
        assert ids(comments.query(state="b*")) == [id]
        comments.removeTrack(id)
        assert comments.query(state="back") == []

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("x" * 1001, "data['state'] is an index attribute: it must have at most 1,000 bytes"),
            ("ä" * 501, "data['state'] is an index attribute: it must have at most 1,000 bytes"),
            ("a\0b", "data['state'] is an index attribute: it must not hold a NUL"),
        ],
    )
    def test_texts_that_no_index_can_hold(self, comments: Storage, value: str, words: str) -> None:
        before = len(comments)
        data = {"state": value}
        with pytest.raises(InvalidData) as info:
            comments.saveUserTrack("a9", 0, "u1", data)
        assert str(info.value).startswith(words)
        with pytest.raises(InvalidData, match=r"^tracks\[1\]: data\['state'\] is an index"):
            comments.saveUserTracks(
                [
                    {"taskId": "a9", "userName": "u1", "data": {}},
                    {"taskId": "a9", "userName": "u1", "data": data},
                ]
            )
        for overwrite in (False, True):
            with pytest.raises(InvalidData, match=r"^data\['state'\] is an index attribute"):
                comments.updateTrack("0000001", data, overwrite)
        assert len(comments) == before
        assert "a9" not in comments.currentRuns
        assert comments["0000001"].state == "new"

    def test_texts_that_an_index_just_holds(self, comments: Storage) -> None:
        for value in ("x" * 1000, "ä" * 500, "😀" * 250):
            id = comments.saveUserTrack("a9", 0, "u1", {"state": value})
            assert ids(comments.query(state=value)) == [id]

    # A type that has gained an attribute

    def test_an_attribute_that_the_type_has_gained(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine keeps nothing when it is closed")
        with open("comments", Track) as tracks:
            for n in range(9):
                data = {"state": f"s{n % 3}", "rating": n % 4}
                tracks.saveUserTrack("a001", 0, "u1", data, timeStamp=at(n))
            with pytest.raises(UnknownCriterion):
                tracks.query(state="s1")
        for kind in (Comment, RatedComment, RatedComment):
            with open("comments", kind) as tracks:
                for _ in range(2):  # before the index is there, and with it
                    assert ids(tracks.query(state="s1")) == ["0000002", "0000005", "0000008"]
                    if kind is RatedComment:
                        assert ids(tracks.query(rating=[3, 0], state="s2")) == ["0000009"]
                    tracks.setupIndexes()
                assert tracks.check() == []
        with open("comments", Comment) as tracks:
            id = tracks.saveUserTrack("a001", 0, "u1", {"state": "s1", "rating": 3})
        with open("comments", RatedComment) as tracks:
            assert ids(tracks.query(rating=3, state="s1")) == ["0000008", id]
            tracks.setupIndexes()
            assert ids(tracks.query(rating=3, state="s1")) == ["0000008", id]
            assert tracks.check() == []

    def test_setup_indexes_where_all_are_there(self, comments: Storage) -> None:
        comments.setupIndexes()
        comments.setupIndexes()
        assert self.states(comments.query(state="new")) == ["new"]

    # Types that cannot be

    @pytest.mark.parametrize("wrong", [None, 7, "Comment", dict, Track("a", 1, "u")])
    def test_what_is_no_track_type(self, open: Opener, wrong: Any) -> None:
        with pytest.raises(InvalidType, match=r"^trackFactory must be a subclass of Track, not "):
            open("tracks", wrong)

    @pytest.mark.parametrize(
        "name", ["limit", "timeFrom", "data", "id", "metadata", "_state", "a b", "a'b", "", 7]
    )
    def test_names_that_no_attribute_can_have(self, open: Opener, name: Any) -> None:
        kind = type("Odd", (Track,), {"index_attributes": (*Track.index_attributes, name)})
        with pytest.raises(InvalidValue, match=r"^Odd cannot have the index attribute "):
            open("tracks", kind)

    def test_an_attribute_in_capitals_and_other_scripts(self, open: Opener) -> None:
        class Sale(Track):
            typeName = "Sale"
            index_attributes = (*Track.index_attributes, "Order", "größe", "select")

        with open("sales", Sale) as sales:
            id = sales.saveUserTrack("a", 0, "u", {"Order": "x", "größe": 7, "select": "y"})
            sales.saveUserTrack("a", 0, "u", {"order": "x", "GRÖSSE": 7, "Select": "y"})
            assert ids(sales.query(Order="x")) == ids(sales.query(größe=7)) == [id]
            assert ids(sales.query(select="y*")) == [id]
