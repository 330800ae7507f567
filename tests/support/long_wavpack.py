"""Two hours of WavPack."""

import struct

from tests.support.long_files import SECONDS, LongFile, order_of_sections, unit

_NUMBERS = struct.Struct("<II")
_NUMBERS_OFFSET = 12


def wavpack() -> LongFile:
    """Return blocks of a short recording with numbers of samples that go on."""
    blocks = unit("wavpack", "wv", rate=22_050, kbits=0)
    order = order_of_sections(round(SECONDS / blocks.section_seconds))
    each = round(blocks.packet_seconds * 22_050)
    total = len(order) * blocks.per_section * each
    sections = [blocks.section(number) for number in range(int(order.max()) + 1)]
    content = bytearray()
    for number, block in enumerate(block for section in order for block in sections[section]):
        head = block[:_NUMBERS_OFFSET] + _NUMBERS.pack(total, number * each)
        content += head + block[_NUMBERS_OFFSET + _NUMBERS.size :]
    return LongFile(content=bytes(content), section_seconds=blocks.section_seconds, order=order)
