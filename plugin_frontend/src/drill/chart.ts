import uPlot from 'uplot';
import plot from 'uplot/dist/uPlot.min.css?inline';
import { formatCount, formatValue } from '../format.ts';
import type { Kind, Line } from '../contract.ts';
import { type Place, edgeMarks, nonFiniteFlags } from '../lines/bands.ts';
import { type Look, drawBand, drawNonFinite, drawTriangles } from '../lines/draw.ts';
import { type ValueScale, hasNoPlace, heightOf, valueTicks } from '../lines/value_scale.ts';
import type { StepWindow } from '../scales.ts';
import type { Theme } from '../theme.ts';
import { GUTTER_CSS_PX } from './looks.ts';

/** Of the chunk. */
export const styles = plot;

/** Room for the signs of NaN and infinities above the lines. */
const SIGNS_CSS_PX = 13;
const STEP_AXIS_CSS_PX = 24;
const MARK_GAP_CSS_PX = 9;
/** A press that moves less is a click, as on the heatmap. */
const DRAG_CSS_PX = 3;

const DISTRIBUTION = { linear: 1, log: 3, symlog: 4 } as const;

export interface ChartLine {
  readonly line: Line;
  readonly look: Look;
}

export interface ChartColours {
  readonly text: string;
  readonly grid: string;
  readonly bad: string;
}

/** All that a chart shows. */
export interface ChartView {
  readonly widthCssPx: number;
  readonly heightCssPx: number;
  readonly window: StepWindow;
  readonly values: ValueScale;
  readonly kind: Kind;
  readonly edges: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly theme: Theme;
  /** Those of the theme. */
  readonly colours: ChartColours;
}

/**
 * Lines with their bands in the axes of uPlot, which also sees to the box of a drag. The lines are drawn here and not
 * by uPlot, since they are stairs that keep the edges of the heatmap's cells, and a zero has to show on a log scale.
 */
export class Chart {
  private plot: uPlot | null = null;
  private view: ChartView | null = null;
  private made = '';

  constructor(
    private readonly host: HTMLElement,
    private readonly zoomTo: (window: StepWindow) => void,
  ) {}

  show(view: ChartView): void {
    this.view = view;
    const make = JSON.stringify([view.values.kind, view.values.linearBelow, view.theme, view.kind]);
    const [width, height] = [view.widthCssPx + GUTTER_CSS_PX, view.heightCssPx];
    if (this.plot === null || make !== this.made) {
      this.plot?.destroy();
      this.plot = new uPlot(this.options(view, width, height), dataOf(view), this.host);
      this.made = make;
      return;
    }
    const plot = this.plot;
    plot.batch(() => {
      if (plot.width !== width || plot.height !== height) plot.setSize({ width, height });
      plot.setData(dataOf(view));
    });
  }

  /** The part of the chart that lies below the heatmap, for its pointer events. */
  get over(): HTMLElement | null {
    return this.plot?.over ?? null;
  }

  destroy(): void {
    this.plot?.destroy();
    this.plot = null;
  }

  private options({ values, kind, colours }: ChartView, width: number, height: number): uPlot.Options {
    const axis = {
      stroke: colours.text,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { stroke: colours.grid, width: 1, size: 4 },
      font: '11px Roboto, system-ui, sans-serif',
    };
    const label = (value: number | null) => (value === null ? '' : formatValue(value, kind, 3));
    return {
      width,
      height,
      padding: [SIGNS_CSS_PX, 0, 0, 0],
      legend: { show: false },
      cursor: {
        x: false,
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: DRAG_CSS_PX },
        bind: { dblclick: () => null },
      },
      scales: {
        x: { time: false, range: () => this.stepRange() },
        y: {
          // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- an enum of its types alone
          distr: DISTRIBUTION[values.kind],
          ...(values.kind === 'symlog' && { asinh: values.linearBelow }),
          range: () => this.valueRange(),
        },
      },
      axes: [
        {
          ...axis,
          size: STEP_AXIS_CSS_PX,
          space: 90,
          incrs: WHOLE_INCREMENTS,
          values: (_, splits) => splits.map((step) => this.stepLabel(step)),
        },
        {
          ...axis,
          size: GUTTER_CSS_PX,
          splits: () => (this.view === null ? [] : valueTicks(this.view.values)),
          filter: (_, splits) => splits,
          values: (_, splits) => splits.map(label),
        },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: {
        draw: [
          (plot) => {
            this.draw(plot);
          },
        ],
        setSelect: [
          (plot) => {
            this.select(plot);
          },
        ],
      },
    };
  }

  private stepRange(): [number, number] {
    return [this.view?.window.start ?? 0, this.view?.window.end ?? 1];
  }

  private valueRange(): [number, number] {
    return [this.view?.values.lo ?? 0, this.view?.values.hi ?? 1];
  }

  /** A label at the very end would be cut off, for the chart ends where the heatmap does. */
  private stepLabel(step: number): string {
    const [label, { start, end }] = [formatCount(step), this.view?.window ?? { start: 0, end: 1 }];
    const roomCssPx = ((end - step) / (end - start)) * (this.view?.widthCssPx ?? 0);
    return roomCssPx < label.length * 3.5 ? '' : label;
  }

  private select(plot: uPlot): void {
    if (plot.select.width <= 0) return;
    const { left, width } = plot.select;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoomTo({ start: plot.posToVal(left, 'x'), end: plot.posToVal(left + width, 'x') });
  }

  private draw(plot: uPlot): void {
    if (this.view === null) return;
    const { edges, lines, values, window, colours } = this.view;
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    const bottom = bbox.top + bbox.height;
    const place: Place = {
      x: (step) => bbox.left + ((step - window.start) / (window.end - window.start)) * bbox.width,
      y: (value) => bottom - heightOf(values, value) * bbox.height,
    };
    const signs = edgeMarks(
      edges,
      (cell) => lines.reduce((all, { line }) => all | nonFiniteFlags(line, cell), 0),
      place.x,
      MARK_GAP_CSS_PX * ratio,
    );
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width, bottom);
    ctx.clip();
    for (const { line, look } of lines) drawBand(ctx, edges, line, place, look, ratio);
    for (const { line, look } of lines) {
      const zeros = edgeMarks(
        edges,
        (cell) => Number(hasNoPlace(values, line.min[cell])),
        place.x,
        MARK_GAP_CSS_PX * ratio,
      );
      drawTriangles(ctx, zeros, bottom, 'down', look.colour, ratio);
    }
    drawNonFinite(ctx, signs, bbox.top - (SIGNS_CSS_PX - 3) * ratio, colours.bad, ratio);
    ctx.restore();
  }
}

/** Steps are whole numbers: 1, 2 and 5 times powers of ten. */
const WHOLE_INCREMENTS = Array.from({ length: 16 }, (_, power) =>
  [1, 2, 5].map((digit) => digit * 10 ** power),
).flat();

/** uPlot has the axes only, so it gets the corners of the view. */
function dataOf({ window }: ChartView): uPlot.AlignedData {
  return [
    [window.start, window.end],
    [null, null],
  ];
}
