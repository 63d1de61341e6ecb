"""Tokens are counted by bytes, and a cache gives back what it was sent before."""

from __future__ import annotations

from treadle.agent.mock.billing import Block, Ledger, Prompt


def test_four_bytes_are_a_token_and_a_rest_is_one_more() -> None:
    assert Ledger().automatic("k", b"x" * 9) == Prompt(3)


def test_an_automatic_cache_reads_the_common_prefix_in_steps_of_128_tokens() -> None:
    ledger = Ledger()
    assert ledger.automatic("k", b"a" * 8000).cached == 0
    assert ledger.automatic("k", b"a" * 8000 + b"b" * 400) == Prompt(2100, cached=1920)
    assert ledger.automatic("k", b"a" * 6000 + b"c" * 2000).cached == 1408


def test_an_automatic_cache_keeps_nothing_below_1024_tokens() -> None:
    ledger = Ledger()
    ledger.automatic("k", b"a" * 4095)
    assert ledger.automatic("k", b"a" * 4095).cached == 0
    ledger.automatic("k", b"a" * 4096)
    assert ledger.automatic("k", b"a" * 4096).cached == 1024


def test_another_key_has_another_cache() -> None:
    ledger = Ledger()
    ledger.automatic(("k", "m"), b"a" * 8000)
    assert ledger.automatic(("k", "n"), b"a" * 8000).cached == 0


def test_any_earlier_request_counts_not_only_the_last() -> None:
    ledger = Ledger()
    ledger.automatic("k", b"a" * 8000)
    ledger.automatic("k", b"b" * 8000)
    assert ledger.automatic("k", b"a" * 8000).cached == 1920


BIG = b"x" * 8000


def test_without_a_breakpoint_nothing_is_written() -> None:
    assert Ledger().explicit("k", [Block(BIG)], 0.0) == Prompt(2000)


def test_a_breakpoint_writes_once_and_is_then_read() -> None:
    ledger = Ledger()
    assert ledger.explicit("k", [Block(BIG, 300)], 0.0) == Prompt(2000, written=2000)
    grown = [Block(BIG, 300), Block(b"y" * 400, 300)]
    assert ledger.explicit("k", grown, 1.0) == Prompt(2100, cached=2000, written=100)
    assert ledger.explicit("k", grown, 2.0) == Prompt(2100, cached=2100)


def test_a_prefix_is_forgotten_when_its_time_is_over_and_kept_when_it_is_read() -> None:
    ledger = Ledger()
    ledger.explicit("k", [Block(BIG, 300)], 0.0)
    assert ledger.explicit("k", [Block(BIG, 300)], 299.0).cached == 2000
    assert ledger.explicit("k", [Block(BIG, 300)], 598.0).cached == 2000
    assert ledger.explicit("k", [Block(BIG, 300)], 899.0) == Prompt(2000, written=2000)


def test_what_is_written_for_an_hour_is_counted_apart() -> None:
    blocks = [Block(BIG, 3600), Block(BIG, 300)]
    assert Ledger().explicit("k", blocks, 0.0) == Prompt(4000, written=4000, written_long=2000)


def test_an_entry_more_than_twenty_blocks_back_is_not_found() -> None:
    ledger = Ledger()
    ledger.explicit("k", [Block(BIG, 300)], 0.0)
    near = [Block(BIG), *[Block(b"y")] * 18, Block(b"y", 300)]
    far = [Block(BIG), *[Block(b"z")] * 19, Block(b"z", 300)]
    assert ledger.explicit("k", near, 1.0).cached == 2000
    assert ledger.explicit("k", far, 1.0).cached == 0


def test_a_prefix_that_is_too_short_is_silently_not_kept() -> None:
    ledger = Ledger()
    ledger.explicit("k", [Block(b"x" * 4000, 300)], 0.0)
    assert ledger.explicit("k", [Block(b"x" * 4000, 300)], 1.0) == Prompt(1000)
