/** Tiles as the contract describes them, written from its text and apart from what the front end reads them with. */

export interface PlainTile {
  encoding: number;
  level: number;
  r: number;
  c: number;
  rows: number;
  cells: number;
  revision: number;
  /** bf16 codes and flags, [64, 512] row-major. */
  codes: ArrayLike<number>;
  flags: ArrayLike<number>;
}

const ROWS = 64;
const CELLS = 512;

export function bf16Of(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const wide = Buffer.alloc(4);
  wide.writeFloatBE(value);
  const [upper, lower] = [wide.readUInt16BE(0), wide.readUInt16BE(2)];
  return lower > 0x8000 || (lower === 0x8000 && upper % 2 === 1) ? upper + 1 : upper;
}

export function foldedOf(fraction: number): number {
  return fraction <= 0.5 ? bf16Of(fraction) : bf16Of(-(1 - fraction));
}

export function encodeTile(tile: PlainTile): Buffer {
  const header = Buffer.alloc(24);
  header.write('GHT1', 0, 'latin1');
  header[4] = tile.encoding;
  header[5] = tile.level;
  header.writeUInt16LE(tile.rows, 6);
  header.writeUInt32LE(tile.r, 8);
  header.writeUInt32LE(tile.c, 12);
  header.writeUInt32LE(tile.cells, 16);
  header.writeUInt32LE(tile.revision, 20);
  const codes = Array.from(tile.codes);
  return Buffer.concat([
    header,
    Buffer.from(codes.map((code) => code % 256)),
    Buffer.from(codes.map((code) => Math.floor(code / 256))),
    Buffer.from(Array.from(tile.flags)),
  ]);
}

export function emptyTile(place: { level: number; r: number; c: number }): PlainTile {
  return {
    ...place,
    encoding: 0,
    rows: ROWS,
    cells: CELLS,
    revision: 1,
    codes: new Array<number>(ROWS * CELLS).fill(0x7fc0),
    flags: new Array<number>(ROWS * CELLS).fill(0),
  };
}

/** The body of a reply, in a buffer of its own. */
export function bodyOf(...tiles: PlainTile[]): ArrayBuffer {
  const bytes = Buffer.concat(tiles.map(encodeTile));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}
