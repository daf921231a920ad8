import { bf16Value, valueOf } from './colours.ts';
import {
  type Grid,
  type StepScale,
  cellAtDevicePx,
  cellEdgeDevicePx,
  cellsInView,
  stepsInCell,
  tileOfCell,
} from './scales.ts';
import {
  FLAGS_NON_FINITE,
  FLAG_INCOMPLETE,
  FLAG_NO_GRADIENT,
  TILE_CELLS,
  TILE_ROWS,
  type Tile,
  type TileId,
} from './tiles.ts';
import { type Viewport, rowsInView } from './viewport.ts';

/** Of more tiles than this some rows are left out of a range: an order by value may show a row of each of sixty. */
const TILES_SAMPLED = 8;

/** Pixel columns [left, right) of the canvas. */
export interface Span {
  readonly left: number;
  readonly right: number;
}

/** What there is to show. */
export interface Scene {
  readonly viewport: Viewport;
  readonly scale: StepScale;
  readonly grid: Grid;
  /** Unfolded nodes, one row each; −1 where the run has no such node. */
  readonly nodes: Int32Array;
  readonly tileAt: (id: TileId) => Tile | undefined;
  /** Grows when tiles have come, for then the picture is another. */
  readonly arrivals: number;
}

/** A tile behind a part of a row; a coarser one while the right one is on its way. */
export interface Piece extends Span {
  readonly tile: Tile;
}

export interface Row {
  readonly row: number;
  readonly node: number;
  readonly pieces: readonly Piece[];
  /** Parts whose tile is not here yet, whether or not a coarser one stands in. */
  readonly missing: readonly Span[];
}

export interface Mark extends Span {
  readonly row: number;
  readonly node: number;
  readonly kind: 'nonFinite' | 'noGradient' | 'incomplete';
  /** Flags of all cells that the mark stands for. */
  readonly flags: number;
  readonly cells: number;
}

/** RGBA words by bf16 code. */
export interface ColourTables {
  readonly plain: Uint32Array;
  readonly folded: Uint32Array;
}

/** The rows in view and what is known of them. */
export function rowsOf(scene: Scene): Row[] {
  const [firstRow, endRow] = rowsInView(scene.viewport, scene.nodes.length);
  const cells = cellsInView(scene.scale, scene.grid);
  const rows: Row[] = [];
  for (let row = firstRow; row < endRow; row++) rows.push(rowOf(scene, row, cells));
  return rows;
}

function rowOf(scene: Scene, row: number, [firstCell, endCell]: readonly [number, number]): Row {
  const { scale, viewport } = scene;
  const node = scene.nodes[row] ?? 0;
  const r = Math.floor(node / TILE_ROWS);
  const pieces: Piece[] = [];
  const missing: Span[] = [];
  if (node < 0) return { row, node, pieces, missing };
  for (let c = tileOfCell(firstCell); c * TILE_CELLS < endCell; c++) {
    const left = cellEdgeDevicePx(scale, Math.max(firstCell, c * TILE_CELLS));
    const right = cellEdgeDevicePx(scale, Math.min(endCell, (c + 1) * TILE_CELLS));
    const span = { left: Math.max(0, left), right: Math.min(viewport.widthDevicePx, right) };
    const tile = scene.tileAt({ level: scale.level, r, c });
    const shown = tile ?? coarserTile(scene, r, c);
    if (tile === undefined) missing.push(span);
    if (shown !== undefined && node % TILE_ROWS < shown.rows) pieces.push({ ...span, tile: shown });
  }
  return { row, node, pieces, missing };
}

function coarserTile({ scale, grid, tileAt }: Scene, r: number, c: number): Tile | undefined {
  for (let up = 1; scale.level + up < grid.levels; up++) {
    const tile = tileAt({ level: scale.level + up, r, c: Math.floor(c / 2 ** up) });
    if (tile !== undefined) return tile;
  }
  return undefined;
}

/** The cell, at the scale's level, of each pixel column. */
export function cellOfColumns(scale: StepScale): Float64Array {
  const cells = new Float64Array(scale.widthDevicePx);
  let cell = cellAtDevicePx(scale, 0);
  let nextEdge = cellEdgeDevicePx(scale, cell + 1);
  for (let column = 0; column < cells.length; column++) {
    while (nextEdge <= column) nextEdge = cellEdgeDevicePx(scale, ++cell + 1);
    cells[column] = cell;
  }
  return cells;
}

/** Colours one row's line of pixels [widthDevicePx]; columns without a value are left as they are. */
export function paintLine(
  line: Uint32Array,
  row: Row,
  scale: StepScale,
  cellOfColumn: Float64Array,
  tables: ColourTables,
): void {
  for (const { tile, left, right } of row.pieces) {
    const table = tile.folded ? tables.folded : tables.plain;
    const coarser = 2 ** (tile.level - scale.level);
    const start = (row.node % TILE_ROWS) * TILE_CELLS;
    for (let column = left; column < right; column++) {
      const cell = Math.floor((cellOfColumn[column] ?? 0) / coarser) - tile.c * TILE_CELLS;
      if (cell < tile.cells) line[column] = table[tile.codes[start + cell] ?? 0] ?? 0;
    }
  }
}

/**
 * Marks of the rows, in the order to draw them: non-finite cells come last, so that nothing covers them. Adjacent
 * cells with the same mark share one, unless `apart` says that cells of that width get one each.
 */
export function marksOf(
  scene: Scene,
  rows: readonly Row[],
  apart: (cellDevicePx: number) => boolean,
): Mark[] {
  const marks: Mark[] = [];
  for (const row of rows)
    for (const piece of row.pieces) {
      const flags = piece.tile.rowFlags[row.node % TILE_ROWS] ?? 0;
      if ((flags & (FLAGS_NON_FINITE | FLAG_NO_GRADIENT | FLAG_INCOMPLETE)) !== 0)
        collectMarks(marks, scene, row, piece, apart);
    }
  const order = { noGradient: 0, incomplete: 1, nonFinite: 2 };
  return marks.sort((a, b) => order[a.kind] - order[b.kind]);
}

function collectMarks(
  marks: Mark[],
  scene: Scene,
  { row, node }: Row,
  { tile, left, right }: Piece,
  apart: (cellDevicePx: number) => boolean,
): void {
  const scale = { ...scene.scale, level: tile.level, cellSteps: stepsInCell(scene.grid, tile.level) };
  const firstOfTile = tile.c * TILE_CELLS;
  const first = Math.max(firstOfTile, cellAtDevicePx(scale, left));
  const end = Math.min(firstOfTile + tile.cells, cellAtDevicePx(scale, right - 1) + 1);
  const start = (node % TILE_ROWS) * TILE_CELLS - firstOfTile;
  let open = null as Draft | null;
  for (let cell = first; cell < end; cell++) {
    const flags = tile.flags[start + cell] ?? 0;
    const kind = kindOf(flags, tile.codes[start + cell] ?? 0);
    if (kind === null && (flags & FLAG_INCOMPLETE) === 0) {
      open = null;
      continue;
    }
    const [edge, nextEdge] = [cellEdgeDevicePx(scale, cell), cellEdgeDevicePx(scale, cell + 1)];
    const span = { left: Math.max(left, edge), right: Math.min(right, nextEdge) };
    if ((flags & FLAG_INCOMPLETE) !== 0)
      marks.push({ ...span, row, node, kind: 'incomplete', flags, cells: 1 });
    if (kind === null) {
      open = null;
    } else if (open?.kind === kind && !(kind === 'nonFinite' && apart(nextEdge - edge))) {
      open.right = span.right;
      open.flags |= flags;
      open.cells++;
    } else {
      open = { ...span, row, node, kind, flags, cells: 1 };
      marks.push(open);
    }
  }
}

type Draft = { -readonly [K in keyof Mark]: Mark[K] };

function kindOf(flags: number, code: number): 'nonFinite' | 'noGradient' | null {
  if ((flags & FLAGS_NON_FINITE) !== 0) return 'nonFinite';
  return (flags & FLAG_NO_GRADIENT) !== 0 && Number.isNaN(bf16Value(code)) ? 'noGradient' : null;
}

/**
 * Values in view, for a colour range: of the rows in view, or of all rows in the tiles behind them. Of more than `most`
 * there are some, evenly spread.
 */
export function valuesInView(
  scene: Scene,
  rows: readonly Row[],
  of: 'rows' | 'tiles',
  most: number,
): Float64Array {
  const runs = codesInView(scene, rows, of);
  const count = runs.reduce((sum, { codes }) => sum + codes.length, 0);
  const stride = Math.max(1, Math.ceil(count / most));
  const values = new Float64Array(Math.ceil(count / stride));
  let [i, next] = [0, 0];
  for (const { codes, folded } of runs) {
    for (; next < codes.length; next += stride) values[i++] = valueOf(codes[next] ?? 0, folded);
    next -= codes.length;
  }
  return values;
}

/** Runs of codes of the cells in view, at the level that is shown; tiles of a coarser one only stand in. */
export function codesInView(
  scene: Scene,
  rows: readonly Row[],
  of: 'rows' | 'tiles',
): { codes: Uint16Array; folded: boolean }[] {
  const found: { codes: Uint16Array; folded: boolean }[] = [];
  const [firstCell, endCell] = cellsInView(scene.scale, scene.grid);
  const seen = new Set<Tile>();
  const tiles = new Set(rows.flatMap(({ pieces }) => pieces.map(({ tile }) => tile)));
  const stride = of === 'tiles' ? Math.ceil(tiles.size / TILES_SAMPLED) : 1;
  for (const { node, pieces } of rows)
    for (const { tile } of pieces) {
      if (tile.level !== scene.scale.level || (of === 'tiles' && seen.has(tile))) continue;
      seen.add(tile);
      const first = Math.max(0, firstCell - tile.c * TILE_CELLS);
      const end = Math.min(tile.cells, endCell - tile.c * TILE_CELLS);
      const [top, bottom] = of === 'tiles' ? [0, tile.rows] : [node % TILE_ROWS, (node % TILE_ROWS) + 1];
      for (let start = top * TILE_CELLS; start < bottom * TILE_CELLS; start += stride * TILE_CELLS)
        if (first < end)
          found.push({ codes: tile.codes.subarray(start + first, start + end), folded: tile.folded });
    }
  return found;
}
