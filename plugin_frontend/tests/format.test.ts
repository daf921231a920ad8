import { describe, expect, it } from 'vitest';
import { formatSteps, formatValue, plural } from '../src/format.ts';

describe('figures', () => {
  it('have four digits, and a power of ten where they need one', () => {
    const figures: [number, string][] = [
      [0, '0'],
      [0.70312, '0.7031'],
      [12_345, '12350'],
      [1.5e-7, '1.5e-7'],
      [-2.25e30, '-2.25e30'],
      [NaN, 'no data'],
      [Infinity, '+Inf'],
      [-Infinity, '-Inf'],
    ];
    for (const [value, text] of figures) expect(formatValue(value)).toBe(text);
  });

  it('keep a fraction near 1 from reading as 1', () => {
    expect(formatValue(0.998, 'fraction')).toBe('0.998');
    expect(formatValue(0.99998, 'fraction')).toBe('1 − 2e-5');
    expect(formatValue(1, 'fraction')).toBe('1');
    expect(formatValue(0.99998)).toBe('1');
  });
});

describe('counts', () => {
  it('are whole, and all of their digits are shown where they are exact', () => {
    expect(formatValue(1_234_567, 'count')).toBe('1,234,567');
    expect(formatValue(1_234_567, 'count', 3)).toBe('1,230,000');
    expect(formatValue(0.25, 'count')).toBe('0.25');
  });
});

describe('steps', () => {
  it('are named with both ends', () => {
    expect(formatSteps(40, 50)).toBe('steps 40–49');
    expect(formatSteps(1_040, 1_041)).toBe('step 1,040');
    expect([plural(1, 'step'), plural(2_000, 'step')]).toEqual(['1 step', '2,000 steps']);
  });
});
