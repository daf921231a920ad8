import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContractError } from '../src/contract.ts';
import { TILE_CELLS, isSettled, parseTiles } from '../src/tiles.ts';
import { type PlainTile, bodyOf, emptyTile } from './support/encode.ts';

const AREA = 64 * 512;
const word = fc.integer({ min: 0, max: 0xffff_ffff });

const tiles: fc.Arbitrary<PlainTile> = fc.record({
  encoding: fc.constantFrom(0, 1),
  level: fc.nat(255),
  r: word,
  c: word,
  rows: fc.integer({ min: 1, max: 64 }),
  cells: fc.integer({ min: 1, max: 512 }),
  revision: word,
  codes: fc.uint16Array({ minLength: AREA, maxLength: AREA }),
  flags: fc.uint8Array({ minLength: AREA, maxLength: AREA }),
});

describe('parseTiles', () => {
  it('reads back what an encoder of the contract wrote', () => {
    fc.assert(
      fc.property(fc.array(tiles, { minLength: 1, maxLength: 3 }), (written) => {
        const read = parseTiles(bodyOf(...written));
        expect(read.length).toBe(written.length);
        for (const [i, tile] of read.entries()) {
          const { encoding, codes, flags, ...rest } = written[i] ?? emptyTile(tile);
          expect(tile).toMatchObject({ ...rest, folded: encoding === 1 });
          expect(Buffer.from(tile.codes.buffer).equals(Buffer.from(Uint16Array.from(codes).buffer))).toBe(
            true,
          );
          expect(Buffer.from(tile.flags).equals(Buffer.from(Uint8Array.from(flags)))).toBe(true);
        }
      }),
      { numRuns: 10 },
    );
  });

  it('sums up the flags of each row', () => {
    const flags = new Uint8Array(AREA);
    flags[3 * 512 + 7] = 1;
    flags[3 * 512 + 9] = 16;
    const [tile] = parseTiles(bodyOf({ ...emptyTile({ level: 0, r: 0, c: 0 }), flags }));
    expect([...(tile?.rowFlags ?? [])].slice(2, 5)).toEqual([0, 17, 0]);
  });

  it('says what it expected when the body is something else', () => {
    const body = bodyOf(emptyTile({ level: 0, r: 0, c: 0 }));
    expect(() => parseTiles(body.slice(1))).toThrow(ContractError);
    expect(() => parseTiles(new ArrayBuffer(0))).toThrow(/expected records of 98328 bytes, got 0 bytes/);
    new Uint8Array(body).set([0x3c], 0);
    expect(() => parseTiles(body)).toThrow(/expected a GHT1 record/);
    expect(() => parseTiles(bodyOf({ ...emptyTile({ level: 0, r: 0, c: 0 }), encoding: 2 }))).toThrow(
      ContractError,
    );
  });
});

describe('a settled tile', () => {
  const settled = (changes: Partial<PlainTile>) =>
    parseTiles(bodyOf({ ...emptyTile({ level: 0, r: 0, c: 0 }), ...changes })).every(isSettled);
  it('is full, with all its cells complete', () => {
    const flags = new Uint8Array(AREA);
    expect(settled({ cells: TILE_CELLS, flags })).toBe(true);
    expect(settled({ cells: TILE_CELLS - 1, flags })).toBe(false);
    flags[511] = 16;
    expect(settled({ cells: TILE_CELLS, flags })).toBe(false);
  });
});
