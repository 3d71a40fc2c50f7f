from hypothesis import given
from hypothesis import strategies as st

from strategies.plain_text import few_lines, one_line


def test_colours_titles_and_bells_are_gone():
    assert one_line("\x1b[31mboom\x1b[0m") == "boom"
    assert one_line("\x1b]0;a title\x07boom") == "boom"
    assert one_line("\x1b]8;;http://a\x1b\\boom") == "boom"
    assert one_line("bo\x07om\x00 \x9b2J") == "bo om 2J"
    assert one_line("\x1b[2J\x1bcboom\x1b") == "boom"


def test_a_reason_is_on_one_line_and_in_one_direction():
    assert one_line("a\nb\r\n\tc\u2028d") == "a b c d"
    assert one_line("user\u202etxt.exe") == "user txt.exe"
    assert one_line("half a \ud800 character") == "half a character"


def test_the_underlines_of_a_traceback_are_gone():
    assert one_line("  x = f(y)\n      ~~^^^\nKeyError: 2^3") == "x = f(y) KeyError: 2^3"


def test_a_long_reason_is_cut_in_the_middle_since_an_exceptions_own_words_come_last():
    assert one_line("a" * 10**6 + "b" * 10**6) == "a" * 150 + " … " + "b" * 350
    assert one_line("x" * 500) == "x" * 500
    assert one_line(None) == "no reason given"


def test_a_problem_keeps_its_first_lines_and_their_indentation():
    assert few_lines("2 problems:\n  - \x1b[1ma\x1b[0m\n\n  - b") == "2 problems:\n  - a\n  - b"
    assert few_lines("\n".join(str(n) for n in range(100))).splitlines() == [*map(str, range(20)), "…"]


@given(st.text(max_size=2000) | st.text("\x1b[];m0J\x07\\", max_size=200))
def test_whatever_comes_is_printable_and_short(text):
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= 503
    lines = few_lines(text).split("\n")
    assert len(lines) <= 21
    assert all(line.isprintable() and len(line) <= 511 for line in lines)
