from drydock import contents, secrets, settings
from drydock.contents import Contents


def test_what_is_noted_is_read_back(tmp_path):
    paths = settings.Paths(tmp_path)
    assert contents.noted(paths) is None

    held = Contents(("a", "b"), 12, ("2025-01-01", "2025-01-03"))
    contents.note(paths, held)

    assert contents.noted(paths) == held


def test_it_says_what_there_is():
    buckets = ("a", "b")
    assert str(Contents(buckets, 3, ())) == "2 buckets with 3 objects, no day of data among them"
    assert (
        str(Contents(buckets, 3, ("2025-01-01",))) == "2 buckets with 3 objects, a day of data among them (2025-01-01)"
    )
    two = Contents(buckets, 3, ("2025-01-01", "2025-01-03"))
    assert str(two) == "2 buckets with 3 objects, 2 days of data among them (2025-01-01 to 2025-01-03)"


def test_a_gateway_that_does_not_answer_leaves_the_note_as_it_was(tmp_path):
    paths = settings.Paths(tmp_path)
    secrets.ensure(paths)
    held = Contents(("a",), 1, ())
    contents.note(paths, held)

    assert contents.note_if_answering(paths, settings.Ports(offset=40000)) is None

    assert contents.noted(paths) == held
