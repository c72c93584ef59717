"""Pictures as webcams send them: motion JPEG, often padded, cut short or without Huffman tables.

The result can be read by any JPEG decoder; pixels are not changed.
"""

_END = b"\xff\xd9"
_SCAN = 0xDA
_TABLES = 0xC4
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length

# The typical tables of the JPEG standard (T.81 annex K.3), which motion JPEG leaves out:
# how many codes there are of each length 1..16, then what they stand for.
_DC_VALUES = bytes(range(12))
_DC_LUMINANCE = bytes.fromhex("00010501010101010100000000000000")
_DC_CHROMINANCE = bytes.fromhex("00030101010101010101010000000000")
_AC_LUMINANCE = bytes.fromhex("0002010303020403050504040000017d")
_AC_LUMINANCE_VALUES = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a"
    "161718191a25262728292a3435363738393a434445464748494a535455565758595a6364656667"
    "68696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3"
    "b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4"
    "f5f6f7f8f9fa"
)
_AC_CHROMINANCE = bytes.fromhex("00020102040403040705040400010277")
_AC_CHROMINANCE_VALUES = bytes.fromhex(
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a1624"
    "34e125f11718191a262728292a35363738393a434445464748494a535455565758595a63646566"
    "6768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aa"
    "b2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4"
    "f5f6f7f8f9fa"
)
_TABLES_BODY = (
    *(b"\x00", _DC_LUMINANCE, _DC_VALUES),
    *(b"\x10", _AC_LUMINANCE, _AC_LUMINANCE_VALUES),
    *(b"\x01", _DC_CHROMINANCE, _DC_VALUES),
    *(b"\x11", _AC_CHROMINANCE, _AC_CHROMINANCE_VALUES),
)
STANDARD_TABLES = (
    b"\xff\xc4" + (2 + sum(map(len, _TABLES_BODY))).to_bytes(2, "big") + b"".join(_TABLES_BODY)
)


def whole_jpeg(data: bytes) -> bytes | None:
    """The JPEG without padding behind its last end marker; where it has no Huffman table, the
    standard ones are put in. None if the data do not begin as a JPEG, or have no end marker or no
    scan. The coded picture itself is not checked or changed.
    """
    end = data.rfind(_END)
    if not data.startswith(b"\xff\xd8") or end < 0:
        return None
    data = data[: end + len(_END)]
    position, has_tables = 2, False
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF or marker in _BARE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _SCAN:
            return data if has_tables else data[:position] + STANDARD_TABLES + data[position:]
        has_tables = has_tables or marker == _TABLES
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None
