"""How much of a backlog is worked off."""

from betar_tui.catalogue.progress import MIN_SHOWN, Progress
from betar_tui.market.marketplace import Indexing


def test_progress_counts_rows_and_texts_together():
    progress = Progress(MIN_SHOWN, 50)
    assert progress.now() == Indexing(25, MIN_SHOWN + 50), "rows that are to be indexed are half done"
    progress.made_rows(40, 30)
    assert (progress.rows, progress.texts, progress.now()) == (60, 80, Indexing(50, 150))
    progress.add(5, 0)
    assert progress.now() == Indexing(50, 155)
    progress.rows_found_empty(progress.mark)
    progress.made_texts(79)
    assert progress.now() == Indexing(154, 155)
    progress.made_texts(1)
    assert progress.texts == 1, "only a look at the queue says that it is empty"
    mark = progress.mark
    progress.add(1, 0)
    progress.texts_found_empty(mark)
    assert (progress.rows, progress.texts) == (1, 1), "what came meanwhile is not done"
    progress.texts_found_empty(progress.mark)
    progress.rows_found_empty(progress.mark)
    assert progress.now() is None
    progress.add(0, 3)
    assert progress.now() is None, "a few are not worth a word"
    assert Indexing(6_000, 90_000).text == "6,000 of 90,000 indexed"
