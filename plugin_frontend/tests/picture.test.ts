import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Scene, cellOfColumns, marksOf, paintLine, rowsOf, valuesInView } from '../src/picture.ts';
import { cellAtDevicePx, clampWindow, stepScale, stepsInCell, wholeRun, zoomAround } from '../src/scales.ts';
import { widened } from '../src/signs.ts';
import { FLAG_INCOMPLETE, FLAG_NAN, FLAG_NO_GRADIENT, type Tile, type TileId } from '../src/tiles.ts';
import { cellRectCssPx, rowDevicePx, rowTopDevicePx } from '../src/viewport.ts';
import { bf16Of } from './support/encode.ts';

const CELL = 10;
const STEPS = 20_003;
const LEVELS = 3;
const GRID = { steps: [0, STEPS], cell: CELL, levels: LEVELS } as const;
const NODES = 100;

interface Planted {
  node: number;
  step: number;
  flags: number;
}

/** A run whose value is 1 everywhere, with flags planted at single steps. */
function tileWith(planted: readonly Planted[], { level, r, c }: TileId, code = bf16Of(1)): Tile {
  const size = stepsInCell(GRID, level);
  const flags = new Uint8Array(64 * 512);
  const rowFlags = new Uint8Array(64);
  const codes = new Uint16Array(64 * 512).fill(code);
  for (const plant of planted) {
    const [row, cell] = [plant.node - 64 * r, Math.floor(plant.step / size) - 512 * c];
    if (row < 0 || row >= 64 || cell < 0 || cell >= 512) continue;
    flags[512 * row + cell] = plant.flags;
    rowFlags[row] = (rowFlags[row] ?? 0) | plant.flags;
    if (plant.flags === FLAG_NO_GRADIENT) codes[512 * row + cell] = 0x7fc0;
  }
  const cells = Math.min(512, Math.ceil(STEPS / size) - 512 * c);
  return {
    level,
    r,
    c,
    folded: false,
    rows: Math.min(64, NODES - 64 * r),
    cells,
    revision: 1,
    codes,
    flags,
    rowFlags,
  };
}

interface View {
  width: number;
  ratio: number;
  place: number;
  zoom: number;
}

const views: fc.Arbitrary<View> = fc.record({
  width: fc.integer({ min: 520, max: 2_800 }),
  ratio: fc.constantFrom(1, 1.25, 1.5, 2),
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  zoom: fc.double({ min: 1e-4, max: 1, noNaN: true }),
});

function sceneOf(
  { width, ratio, place, zoom }: View,
  tileAt: Scene['tileAt'],
  nodes?: readonly number[],
): Scene {
  const whole = wholeRun(GRID, width);
  const window = clampWindow(
    GRID,
    zoomAround(whole, whole.start + place * (whole.end - whole.start), zoom),
    width,
  );
  return {
    viewport: { widthDevicePx: width, heightDevicePx: 900, scrollDevicePx: 0, devicePixelRatio: ratio },
    scale: stepScale(GRID, window ?? whole, width),
    grid: GRID,
    nodes: Int32Array.from(nodes ?? Array.from({ length: NODES }, (_, i) => i)),
    tileAt,
    arrivals: 0,
  };
}

const apart = (devicePx: number) => devicePx >= 10;

describe('non-finite cells', () => {
  it('are marked at every zoom, on their whole cell and at least 3 pixels of the canvas', () => {
    fc.assert(
      fc.property(views, fc.nat(NODES - 1), fc.nat(STEPS - 1), (view, node, step) => {
        const scene = sceneOf(view, (id) => tileWith([{ node, step, flags: FLAG_NAN }], id), [node]);
        const cell = Math.floor(step / scene.scale.cellSteps);
        const rect = cellRectCssPx(scene.viewport, scene.scale, 0, cell);
        const marks = marksOf(scene, rowsOf(scene), apart);
        if (rect === null) {
          expect(marks).toEqual([]);
          return;
        }
        expect(marks.length).toBe(1);
        const [mark] = marks;
        const shown = widened(mark ?? { left: 0, right: 0 }, view.width);
        expect(shown.left).toBeLessThanOrEqual(rect.x * view.ratio + 1e-6);
        expect(shown.right).toBeGreaterThanOrEqual((rect.x + rect.width) * view.ratio - 1e-6);
        expect(shown.right - shown.left).toBeGreaterThanOrEqual(3);
        expect(shown.left).toBeGreaterThanOrEqual(0);
        expect(shown.right).toBeLessThanOrEqual(view.width);
      }),
      { numRuns: 60 },
    );
  });

  it('are drawn last, share a mark when narrow and have one each when wide', () => {
    const planted = [
      { node: 0, step: 0, flags: FLAG_NAN },
      { node: 0, step: 10, flags: FLAG_NAN | FLAG_INCOMPLETE },
      { node: 0, step: 20, flags: FLAG_NO_GRADIENT },
      { node: 0, step: 30, flags: FLAG_NO_GRADIENT },
    ];
    const tileAt = (id: TileId) => tileWith(planted, id);
    const kinds = (scene: Scene) =>
      marksOf(scene, rowsOf(scene), apart).map(({ kind, cells }) => [kind, cells]);
    const wide = sceneOf({ width: 1_000, ratio: 1, place: 0, zoom: 1e-3 }, tileAt, [0]);
    expect(kinds(wide)).toEqual([
      ['noGradient', 2],
      ['incomplete', 1],
      ['nonFinite', 1],
      ['nonFinite', 1],
    ]);
    const narrow = sceneOf({ width: 2_800, ratio: 1, place: 0, zoom: 1 }, tileAt, [0]);
    expect(kinds(narrow)).toEqual([
      ['noGradient', 2],
      ['incomplete', 1],
      ['nonFinite', 2],
    ]);
  });
});

describe('a line of pixels', () => {
  it('has in each column the colour of the cell that hit testing finds there', () => {
    const plain = Uint32Array.from({ length: 65_536 }, (_, code) => code + 1);
    fc.assert(
      fc.property(views, fc.nat(NODES - 1), (view, node) => {
        const coded = (id: TileId): Tile => {
          const codes = Uint16Array.from({ length: 64 * 512 }, (_, i) => (512 * id.c + i) % 65_521);
          return { ...tileWith([], id), codes };
        };
        const scene = sceneOf(view, coded, [node]);
        const [row] = rowsOf(scene);
        const line = new Uint32Array(view.width);
        const cellOfColumn = cellOfColumns(scene.scale);
        expect([...cellOfColumn]).toEqual(
          [...cellOfColumn.keys()].map((x) => cellAtDevicePx(scene.scale, x)),
        );
        if (row !== undefined) paintLine(line, row, scene.scale, cellOfColumn, { plain, folded: plain });
        const wrong = [...line].filter((word, column) => {
          const cell = cellOfColumn[column] ?? 0;
          const recorded = cell * scene.scale.cellSteps < STEPS;
          return word !== (recorded ? ((512 * (node % 64) + cell) % 65_521) + 1 : 0);
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it('ends with the cells that the tile counts as valid', () => {
    const tileAt = (id: TileId) => ({ ...tileWith([], id), cells: 3 });
    const scene = sceneOf({ width: 1_000, ratio: 1, place: 0, zoom: 1e-3 }, tileAt, [0]);
    const [line, table] = [new Uint32Array(1_000), new Uint32Array(65_536).fill(5)];
    for (const row of rowsOf(scene))
      paintLine(line, row, scene.scale, cellOfColumns(scene.scale), { plain: table, folded: table });
    expect(line.filter((word) => word === 5).length).toBe(3 * 125);
  });

  it('takes the folded table for a folded tile', () => {
    const scene = sceneOf(
      { width: 600, ratio: 1, place: 0, zoom: 1 },
      (id) => ({ ...tileWith([], id), folded: true }),
      [0],
    );
    const line = new Uint32Array(600);
    const tables = { plain: new Uint32Array(65_536).fill(1), folded: new Uint32Array(65_536).fill(2) };
    for (const row of rowsOf(scene)) paintLine(line, row, scene.scale, cellOfColumns(scene.scale), tables);
    expect(line[0]).toBe(2);
  });
});

describe('tiles that are not here yet', () => {
  const whole: View = { width: 2_800, ratio: 1, place: 0, zoom: 1 };

  it('are replaced by a coarser one, and the row is known to be incomplete', () => {
    const scene = sceneOf(whole, (id) => (id.level === LEVELS - 1 ? tileWith([], id) : undefined), [0]);
    const rows = rowsOf(scene);
    expect(rows.every((row) => row.missing.length > 0)).toBe(true);
    expect(rows.flatMap((row) => row.pieces).every((piece) => piece.tile.level === LEVELS - 1)).toBe(true);
    const line = new Uint32Array(whole.width);
    const table = new Uint32Array(65_536).fill(7);
    const tables = { plain: table, folded: table };
    for (const row of rows) paintLine(line, row, scene.scale, cellOfColumns(scene.scale), tables);
    expect([...line].slice(0, 2_000).every((word) => word === 7)).toBe(true);
  });

  it('leave a gap when there is no coarser one either', () => {
    const [row] = rowsOf(sceneOf(whole, () => undefined, [0]));
    expect(row?.pieces).toEqual([]);
    expect(row?.missing[0]?.left).toBe(0);
  });
});

describe('values in view', () => {
  it('are those of the rows in view, or of all rows of their tiles', () => {
    const scene = sceneOf({ width: 600, ratio: 1, place: 0, zoom: 1 }, (id) => tileWith([], id), [0, 70]);
    const rows = rowsOf(scene);
    const cells = Math.ceil(STEPS / scene.scale.cellSteps);
    expect(valuesInView(scene, rows, 'rows', Infinity).length).toBe(2 * cells);
    expect(valuesInView(scene, rows, 'tiles', Infinity).length).toBe(NODES * cells);
  });

  it('are evenly spread where there are more than enough', () => {
    const tile = (id: TileId) => ({
      ...tileWith([], id),
      codes: Uint16Array.from({ length: 64 * 512 }, (_, i) => i),
    });
    const scene = sceneOf({ width: 600, ratio: 1, place: 0, zoom: 1 }, tile, [0, 70]);
    const rows = rowsOf(scene);
    const all = valuesInView(scene, rows, 'tiles', Infinity);
    for (const most of [1, 7, 100, all.length - 1, all.length]) {
      const stride = Math.ceil(all.length / most);
      expect(valuesInView(scene, rows, 'tiles', most)).toEqual(all.filter((_, i) => i % stride === 0));
    }
  });
});

describe('rows', () => {
  it('follow each other without overlap', () => {
    const scene = sceneOf({ width: 600, ratio: 1.25, place: 0, zoom: 1 }, () => undefined);
    const tops = rowsOf(scene).map(({ row }) => rowTopDevicePx(scene.viewport, row));
    expect(tops.every((top, i) => top === i * rowDevicePx(1.25))).toBe(true);
  });
});
