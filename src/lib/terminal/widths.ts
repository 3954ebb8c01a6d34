// SPDX-License-Identifier: Apache-2.0

/**
 * How many columns a character takes, as tmux has it: glibc's `wcwidth` (2.36, Unicode 15), which tmux
 * asks. A terminal model that counted otherwise would put what follows into another column.
 */

/** Ranges as `start[+length]` in hexadecimal, each start counted from the end of the one before. */
const ZERO =
  "300+6f 114+6 108+2c 2 2+1 2+1 2 49+a 2 2f+14 11 66+6 3+5 3+1 2+3 24 1f+1a 5c+a 3b+8 a 19+3 " +
  "2+8 2+2 2+4 2c+2 3d+7 2b+17 2+1f 38 2 5+7 5 4+6 b+1 1e 3b 5+3 9 15+1 1b 3+1 3a 5+1 5+1 3+2 4 " +
  "1f+1 4 c+1 3a 5+4 2+1 5 15+1 17+5 2 3b 3 2+3 9 8+1 c+1 1f 3e d 33 4 38 2+2 6+2 2+3 8+1 c+1 " +
  "1e 3b 3 7 6+1 15+1 1d+1 3a+1 5+3 9 15+1 1e 49 8+2 2 5b 3+6 d+7 63 3+8 c+5 4b+1 1c 2 2 38+d " +
  "2+4 2+1 6+a 2+23 a 67+3 2+5 2+1 3+1 1a+1 5+2 11+3 e 3+1 7 10 c3+9f 15e+2 3b3+2 1e+1 1f+1 " +
  "1f+1 41+1 2+6 9 3+a a 2e+4 76+1 23 77+2 5+1 a 7+2 dc+1 3 3b 2+6 2 2 3+7 7+9 3 31+1e 32+3 31 " +
  "2+4 2 6 29+8 d+1 21+3 3+1 2+2 39 2+1 4 2+2 3b+7 3+1 99+2 2+c 2+6 5 7 4+1 c7+3f 20c+4 1b+4 " +
  "32+4 2+9 61+20 bff+2 8e 61+1f 22b+3 6c+1 75d5+3 2+9 21+1 51+1 111 4 5 1a+1 6 98+1 1b+11 e " +
  "27+7 1a+a 2f+2 31 3+3 3+1 28 44+5 3+1 3+1 d 9 30 34 2+2 3+1 6+1 2 2b+1 9 ef 3 5 2bc3+16 5+30 " +
  "2323 2e2+f 11+f d0 fa+2 202 e3 96+4 687+2 2+1 6+3 29+2 5 a6+1 23e+3 184+1 9a+a 32+3 7c 37+e " +
  "2a 3+1 b+2 32+3 3+1 8 3e+2 25+4 2+7 3f d+1 35+8 b+3 3 60+2 3 2+1 7 a1 4+7 16+1 3a+1 4 26+6 " +
  "4+4 c4+7 3+2 2 18 55+5 2 5+1 2+1 ef+3 7+1 2+1 1c+1 56+7 3 2+1 6b 2 3+5 2 66+2 3+3 2+4 104+8 " +
  "2+1 101+1 2 5 91+3 3+1 5 21+9 29+5 3+3 9 a+5 3+2 2f+c 2+1 197+6 2+5 2 53+15 3+6 2+1 2+1 7b+5 " +
  "4 2+1 2+6 2 49+1 4 2 15c+1 153c+8 36b8+4 3c+6 419 40+3 52 4cb9+1 2+3 125d+2d 3+16 221+2 a+f " +
  "3+6 1f+3 95+2 7bc+36 5+31 9 f 17+4 2+e 551+6 2+10 3+6 2+1 2+4 106+6 178 3e+3 5e1+6 6e+6 " +
  "c16b7 1f+5f 81+ef";
const WIDE =
  "1100+5f 11bb+1 e+1 bf+3 4 3 20a+1 16+1 33+b 2c 14 e 9+1 12+1 6+1 9 6 16 8+1 2 5 3 8 5+1 1d " +
  "24 2 5+2 2 3e+2 19 f 35c+1 34 5 32b+19 2+58 d+d5 1b+b 5+29 5+10 3+55 5+64 6+2a 2+5d 2+53 " +
  "d+2e 2+726c 4+36 49a+1c 284+2ba3 215d+16d 3+69 337+9 17+22 2+12 2+3 96+5f 80+6 6ffa+3 d+1 " +
  "f+17f7 9+4d5 2b+8 22e8+3 2+6 2+1 2+122 2e+2 12+3 9+18b 3d09 cb bf 3+9 66+2 e+2b 5+8 8+1 f+5 " +
  "9b+20 d+8 2+45 2+15 d+2a 5+4 d+10 4 4+46 2 2+ba 3+3e e+3 2+17 13 1b+1 e 57+54 31+45 7 4+2 " +
  "3+2 6+2 c+1 8+8 e4+b 5 11c+2e 2+9 2+b8 71+4 4+4 4+6 a+1c 4+a 6+5 b+9 7+7 9+6 50a+a6df " +
  "21+1038 8+dd 3+1681 f+1d30 c20+21d 5e3+134a";

function unpack(packed: string): Uint32Array {
  const ranges: number[] = [];
  let end = 0;
  for (const range of packed.split(" ")) {
    const [gap, length] = range.split("+");
    const start = end + parseInt(gap!, 16);
    end = start + (length === undefined ? 0 : parseInt(length, 16));
    ranges.push(start, end);
  }
  return Uint32Array.from(ranges);
}

const zero = unpack(ZERO);
const wide = unpack(WIDE);

function includes(ranges: Uint32Array, code: number): boolean {
  let low = 0;
  let high = ranges.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (code < ranges[2 * middle]!) high = middle - 1;
    else if (code > ranges[2 * middle + 1]!) low = middle + 1;
    else return true;
  }
  return false;
}

/** Columns of one character. Controls are none of its business: they never reach a cell. */
export function columnsOf(code: number): 0 | 1 | 2 {
  if (code < 0x300) return 1;
  return includes(zero, code) ? 0 : includes(wide, code) ? 2 : 1;
}

/** What `Terminal.unicode.register()` of xterm.js takes; then set `activeVersion` to its `version`. */
export const tmuxWidths = {
  version: "tmux",
  wcwidth: columnsOf,
  /** xterm's packing: bit 0 joins the cell before, bits 1 and 2 are the columns. */
  charProperties(code: number, preceding: number): number {
    let width: number = columnsOf(code);
    let joins = width === 0 && preceding !== 0;
    if (joins) {
      const before = (preceding >> 1) & 3;
      if (before === 0) joins = false;
      else if (before > width) width = before;
    }
    return (width << 1) | (joins ? 1 : 0);
  },
};
