"""Reads a QR code, as a scanner would after it has found the modules: format, mask, codewords, Reed-Solomon check, bytes.

Written from the standard and not from src/cli/text/qr.cpp: it is what that is held to. Only level L and byte mode.
"""

# (error correction codewords a block, blocks) of level L, by version from 1
LEVEL_L = [(7, 1), (10, 1), (15, 1), (20, 1), (26, 1), (18, 2), (20, 2), (24, 2), (30, 2), (18, 4), (20, 4), (24, 4), (26, 4), (30, 4), (22, 6)]
ALIGNMENT = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50], [6, 30, 54], [6, 32, 58], [6, 34, 62],
             [6, 26, 46, 66], [6, 26, 48, 70]]
MASKS = [lambda x, y: (x + y) % 2 == 0, lambda x, y: y % 2 == 0, lambda x, y: x % 3 == 0, lambda x, y: (x + y) % 3 == 0,
         lambda x, y: (x // 3 + y // 2) % 2 == 0, lambda x, y: x * y % 2 + x * y % 3 == 0, lambda x, y: (x * y % 2 + x * y % 3) % 2 == 0,
         lambda x, y: ((x + y) % 2 + x * y % 3) % 2 == 0]


def modules_of(lines):
    """From half blocks with a quiet zone of 4; light modules are drawn. True: dark."""
    rows = []
    for line in lines:
        rows.append([c not in '█▀' for c in line])
        rows.append([c not in '█▄' for c in line])
    width = len(rows[0])
    assert all(len(row) == width for row in rows), 'lines of different lengths'
    side = width - 8
    assert all(not any(row) for row in rows[:4]) and all(not any(row[:4] + row[-4:]) for row in rows), 'no quiet zone'
    return [row[4:-4] for row in rows[4:4 + side]]


def function_places(version, side):
    places = {(x, 6) for x in range(side)} | {(6, y) for y in range(side)}
    places |= {(x, y) for x in range(9) for y in range(9)}
    places |= {(x, y) for x in range(side - 8, side) for y in range(9)} | {(y, x) for x in range(side - 8, side) for y in range(9)}
    centres = ALIGNMENT[version - 1]
    for cx in centres:
        for cy in centres:
            if (cx, cy) in ((6, 6), (6, centres[-1]), (centres[-1], 6)):
                continue
            places |= {(x, y) for x in range(cx - 2, cx + 3) for y in range(cy - 2, cy + 3)}
    if version >= 7:
        places |= {(x, y) for x in range(side - 11, side - 8) for y in range(6)} | {(y, x) for x in range(side - 11, side - 8) for y in range(6)}
    return places


def powers():
    table, value = [], 1
    for _ in range(255):
        table.append(value)
        value <<= 1
        if value > 255:
            value ^= 0x11D
    return table


def is_intact(block, correction):
    """All syndromes are zero: no codeword is wrong."""
    exp = powers()
    log = {value: i for i, value in enumerate(exp)}
    for root in range(correction):
        value = 0
        for codeword in block:
            value = (exp[(log[value] + root) % 255] if value else 0) ^ codeword
        if value:
            return False
    return True


def read(modules):
    side = len(modules)
    version = (side - 17) // 4
    assert side == 17 + 4 * version and 1 <= version <= len(LEVEL_L), side
    for cx, cy in ((3, 3), (side - 4, 3), (3, side - 4)):
        for dx in range(-3, 4):
            for dy in range(-3, 4):
                assert modules[cy + dy][cx + dx] == (max(abs(dx), abs(dy)) != 2), 'no finder pattern'
    assert all(modules[6][i] == (i % 2 == 0) and modules[i][6] == (i % 2 == 0) for i in range(8, side - 8)), 'no timing pattern'
    first = [(8, y) for y in (0, 1, 2, 3, 4, 5, 7, 8)] + [(x, 8) for x in (7, 5, 4, 3, 2, 1, 0)]
    second = [(side - 1 - i, 8) for i in range(8)] + [(8, side - 7 + i) for i in range(7)]
    words = [sum(modules[y][x] << i for i, (x, y) in enumerate(places)) ^ 0x5412 for places in (first, second)]
    assert words[0] == words[1], 'the copies of the format differ'
    remainder = words[0]
    for i in range(14, 9, -1):
        if remainder >> i & 1:
            remainder ^= 0x537 << (i - 10)
    assert remainder == 0, 'the format is damaged'
    assert words[0] >> 13 == 1, 'not level L'
    mask = MASKS[words[0] >> 10 & 7]
    fixed = function_places(version, side)
    bits, upward, x = [], True, side - 1
    while x > 0:
        if x == 6:
            x -= 1
        for y in (range(side - 1, -1, -1) if upward else range(side)):
            for column in (x, x - 1):
                if (column, y) not in fixed:
                    bits.append(modules[y][column] ^ mask(column, y))
        upward, x = not upward, x - 2
    codewords = [sum(bit << (7 - i) for i, bit in enumerate(bits[at:at + 8])) for at in range(0, len(bits) - 7, 8)]
    correction, count = LEVEL_L[version - 1]
    data_length, longer = divmod(len(codewords) - correction * count, count)
    lengths = [data_length] * (count - longer) + [data_length + 1] * longer
    blocks, rest = [[] for _ in range(count)], iter(codewords)
    for i in range(data_length + 1):
        for block, length in zip(blocks, lengths):
            if i < length:
                block.append(next(rest))
    data = [codeword for block in blocks for codeword in block]
    for _ in range(correction):
        for block in blocks:
            block.append(next(rest))
    assert all(is_intact(block, correction) for block in blocks), 'a block is damaged'
    stream = ''.join(f'{codeword:08b}' for codeword in data)
    assert stream[:4] == '0100', 'not byte mode'
    digits = 8 if version < 10 else 16
    length = int(stream[4:4 + digits], 2)
    text = stream[4 + digits:4 + digits + 8 * length]
    return bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8)).decode()
