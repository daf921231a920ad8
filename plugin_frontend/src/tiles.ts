import { ContractError } from './contract.ts';

/** A tile holds nodes [64 r, 64 r + 64) and cells [512 c, 512 c + 512) of its level. */
export const TILE_ROWS = 64;
export const TILE_CELLS = 512;

/** Most tiles that one request may ask for. */
export const BATCH = 15;

const MAGIC = 0x31544847; // "GHT1", little-endian
const HEADER_BYTES = 24;
const AREA = TILE_ROWS * TILE_CELLS;
const RECORD_BYTES = HEADER_BYTES + 3 * AREA;

export const FLAG_NAN = 1;
export const FLAG_POS_INF = 2;
export const FLAG_NEG_INF = 4;
export const FLAG_NO_GRADIENT = 8;
export const FLAG_INCOMPLETE = 16;
export const FLAGS_NON_FINITE = FLAG_NAN | FLAG_POS_INF | FLAG_NEG_INF;

export interface TileId {
  level: number;
  r: number;
  c: number;
}

export interface Tile extends TileId {
  /** Values above 0.5 are sent as −(1 − f). */
  folded: boolean;
  rows: number;
  cells: number;
  revision: number;
  /** bf16 bit patterns [64 rows, 512 cells]. */
  codes: Uint16Array;
  /** Flags [64 rows, 512 cells]. */
  flags: Uint8Array;
  /** OR of each row's flags, so that drawing skips rows with nothing to mark. */
  rowFlags: Uint8Array;
}

export function tileName({ level, r, c }: TileId): string {
  return `${level}.${r}.${c}`;
}

/** Splits a reply of `tiles` into its records. */
export function parseTiles(body: ArrayBuffer): Tile[] {
  if (body.byteLength === 0 || body.byteLength % RECORD_BYTES !== 0)
    throw new ContractError(
      `tiles: expected records of ${RECORD_BYTES} bytes, got ${body.byteLength} bytes; front end and backend may be of two versions`,
    );
  return Array.from({ length: body.byteLength / RECORD_BYTES }, (_, i) => parseTile(body, i * RECORD_BYTES));
}

function parseTile(body: ArrayBuffer, start: number): Tile {
  const header = new DataView(body, start, HEADER_BYTES);
  const encoding = header.getUint8(4);
  if (header.getUint32(0, true) !== MAGIC || encoding > 1)
    throw new ContractError(
      `tiles: expected a GHT1 record of encoding 0 or 1, got ${header.getUint32(0).toString(16)} with ${encoding}`,
    );
  const low = new Uint8Array(body, start + HEADER_BYTES, AREA);
  const high = new Uint8Array(body, start + HEADER_BYTES + AREA, AREA);
  const codes = new Uint16Array(AREA);
  for (let i = 0; i < AREA; i++) codes[i] = (low[i] ?? 0) | ((high[i] ?? 0) << 8);
  // A copy: a view would keep the whole reply of up to 15 tiles alive.
  const flags = new Uint8Array(body.slice(start + HEADER_BYTES + 2 * AREA, start + RECORD_BYTES));
  return {
    level: header.getUint8(5),
    r: header.getUint32(8, true),
    c: header.getUint32(12, true),
    folded: encoding === 1,
    rows: header.getUint16(6, true),
    cells: header.getUint32(16, true),
    revision: header.getUint32(20, true),
    codes,
    flags,
    rowFlags: flagsByRow(flags),
  };
}

function flagsByRow(flags: Uint8Array): Uint8Array {
  const rowFlags = new Uint8Array(TILE_ROWS);
  for (let i = 0; i < AREA; i++) {
    const row = (i / TILE_CELLS) | 0;
    rowFlags[row] = (rowFlags[row] ?? 0) | (flags[i] ?? 0);
  }
  return rowFlags;
}

/** A settled tile is full and complete: more steps of the same session do not change it. */
export function isSettled(tile: Tile): boolean {
  return tile.cells === TILE_CELLS && tile.rowFlags.every((flags) => (flags & FLAG_INCOMPLETE) === 0);
}
