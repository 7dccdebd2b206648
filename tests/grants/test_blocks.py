from proxy.grants.blocks import Blocks
from proxy.stores.blocks import Block
from tests.grants.scene import Clock


def test_a_block_holds_until_it_is_taken_back() -> None:
    blocks = Blocks(Clock())
    assert "42" not in blocks
    blocks.add(Block(user="42", since_s=0, until_s=None))
    assert "42" in blocks
    assert "43" not in blocks
    assert None not in blocks
    blocks.remove("42")
    blocks.remove("42")
    assert "42" not in blocks


def test_a_block_with_an_end_is_over_then() -> None:
    clock = Clock()
    blocks = Blocks(clock)
    blocks.add(Block(user="42", since_s=0, until_s=clock.now // 1000 + 10))
    clock.now += 9_999
    assert "42" in blocks
    assert len(blocks) == 1
    clock.now += 1
    assert "42" not in blocks
    assert len(blocks) == 0
