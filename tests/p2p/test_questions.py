"""Questions whether a peer has blocks of ours: which entries are sent, and what counts as an answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p.bitswap.messages import WantlistEntry
from betar_tui.p2p.bitswap.questions import MAX_QUESTIONS, MAX_RECENT, Questions

A, B = b"a", b"b"


def question(cid: bytes) -> WantlistEntry:
    return WantlistEntry(cid, have=True, send_dont_have=True)


def test_a_question_is_asked_once_until_it_is_asked_again() -> None:
    questions = Questions()
    questions.ask([A])
    assert questions.take() == [question(A)]
    assert questions.take() == []
    questions.ask([A])
    assert questions.take() == [question(A)]


def test_other_questions_withdraw_the_former() -> None:
    questions = Questions()
    questions.ask([A])
    questions.take()
    questions.ask([B])
    assert questions.take() == [WantlistEntry(A, cancel=True), question(B)]
    assert not questions.answered(A, True)
    assert A in questions  # its answer may be on the way


def test_a_dont_have_leaves_the_question_open_and_a_have_closes_it() -> None:
    questions = Questions()
    questions.ask([A])
    assert questions.answered(A, False)
    assert questions.answered(A, True)
    assert not questions.answered(A, True)
    assert A in questions
    assert B not in questions
    questions.take()
    questions.ask([])
    assert questions.take() == []  # it was settled by the answer


def test_open_questions_are_asked_again_on_another_stream() -> None:
    questions = Questions()
    questions.ask([A, B])
    questions.take()
    questions.answered(A, True)
    questions.resend()
    assert questions.take() == [question(B)]


@given(st.lists(st.lists(st.integers(0, 400).map(lambda n: n.to_bytes(2)), max_size=20), max_size=40))
def test_its_memory_is_bounded(rounds: list[list[bytes]]) -> None:
    questions = Questions()
    for cids in rounds:
        questions.ask(cids)
        assert len(questions._open) <= MAX_QUESTIONS
        assert len(questions._recent) <= MAX_RECENT
        assert len(questions._unsent) <= MAX_QUESTIONS + MAX_RECENT
        assert all(cid in questions for cid in cids[:MAX_QUESTIONS])
