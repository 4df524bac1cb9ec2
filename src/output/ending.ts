/** How a bounded read ended: what `scanLine` says and `meta` carries. */
export interface Scan {
  readonly scanned: number
  readonly matched: number
  readonly stopped: string
  /** Matched, and not shown because the reader could not keep up. */
  readonly notShown?: number
}

const grouped = new Intl.NumberFormat('en-US')

/** `scanned 1,204,332 · matched 17 · stopped: --limit`. */
export function scanLine({ scanned, matched, stopped, notShown = 0 }: Scan): string {
  const missing = notShown > 0 ? ` · not shown ${grouped.format(notShown)}` : ''
  return `scanned ${grouped.format(scanned)} · matched ${grouped.format(matched)}${missing} · stopped: ${stopped}`
}

/** What became of everything that a command wrote. */
export interface Written {
  readonly asked: number
  /** Taken by the target. */
  readonly accepted: number
  /** The target said that it is durable. */
  readonly confirmed: number
  /** Neither confirmed nor refused. */
  readonly unknown: number
}

/** `asked 1,000 · accepted 1,000 · confirmed 1,000 · unknown 0`. */
export function writeLine({ asked, accepted, confirmed, unknown }: Written): string {
  const parts = { asked, accepted, confirmed, unknown }
  return Object.entries(parts)
    .map(([name, count]) => `${name} ${grouped.format(count)}`)
    .join(' · ')
}

/** Any gap between what was asked and what is confirmed. */
export const hasGap = (written: Written) => written.asked !== written.confirmed || written.unknown > 0
