"""The slab tells the successor of a dead worker what was in flight."""

from pathlib import Path

import pytest

from tallygate.journal.slab import Slab, SlabFull, machine_boot, read


def test_counts_are_read_back_after_the_writer_is_gone(tmp_path: Path):
    slab = Slab(tmp_path / "slab", "boot-1")
    first, second = slab.open(41), slab.open(42)
    slab.counts[first] += 3
    slab.counts[second] += 5
    assert read(tmp_path / "slab", "boot-1") == ({41: 3, 42: 5}, True)


def test_another_boot_of_the_machine_makes_the_counts_untrusted(tmp_path: Path):
    """After a loss of power the last pages may be missing: then whole leases count as spent."""
    Slab(tmp_path / "slab", "boot-1").open(41)
    assert read(tmp_path / "slab", "boot-2")[1] is False
    assert read(tmp_path / "slab", "")[1] is False


def test_a_released_record_is_used_again_from_zero(tmp_path: Path):
    slab = Slab(tmp_path / "slab", "boot-1", capacity=1)
    index = slab.open(41)
    slab.counts[index] += 9
    with pytest.raises(SlabFull):
        slab.open(42)
    slab.release(index)
    slab.open(42)
    assert read(tmp_path / "slab", "boot-1") == ({42: 0}, True)


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 4096])
def test_a_damaged_slab_is_not_trusted(tmp_path: Path, damage: bytes):
    (tmp_path / "slab").write_bytes(damage)
    assert read(tmp_path / "slab", "boot-1") == ({}, False)
    assert read(tmp_path / "missing", "boot-1") == ({}, False)


def test_a_machine_knows_its_boot():
    assert machine_boot() == machine_boot()
