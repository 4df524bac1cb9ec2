import type { Figure } from './censored.ts'

/** `1.24 ms`, `>12.3 s` for a lower bound, `-` for a figure that there is none of. */
export function formatFigure(figure: Figure | undefined): string {
  return figure === undefined ? '-' : `${figure.atLeast ? '>' : ''}${formatUs(figure.us)}`
}

/** Three significant digits, in µs, ms or s. */
export function formatUs(us: number): string {
  if (us < 1_000) return `${Math.round(us)} µs`
  return us < 999_500 ? `${Number((us / 1_000).toPrecision(3))} ms` : `${Number((us / 1e6).toPrecision(3))} s`
}
