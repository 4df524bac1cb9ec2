// Room ui/view: what is on the screen for a model and a size, as lines of toned text. Pure.
import { startOf, widthOf } from './width.ts'

/** Meaning, not colour: the component maps tones to colours, and shapes carry the meaning where there are none. */
export type Tone = 'plain' | 'dim' | 'good' | 'warn' | 'bad' | 'accent' | 'title' | 'selected'

export interface Span {
  readonly text: string
  readonly tone: Tone
}
export type Line = readonly Span[]

export interface Size {
  readonly columns: number
  readonly rows: number
}

export const span = (text: string, tone: Tone = 'plain'): Span => ({ text, tone })
export const blank: Line = [span('')]

/** Cut to `width` columns with an ellipsis, never wider. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  return width <= 0 ? '' : `${startOf(text, width - 1)}…`
}

/** The line cut to `width`, with an ellipsis where something is missing. */
export function clipLine(line: Line, width: number): Line {
  let room = width
  const fitted: Span[] = []
  for (const piece of line) {
    const text = clip(piece.text, room)
    if (text !== '') fitted.push({ ...piece, text })
    room -= widthOf(text)
    if (room <= 0) break
  }
  return fitted
}

const padding = (text: string, width: number) => ' '.repeat(Math.max(0, width - widthOf(text)))

export function left(text: string, width: number): string {
  const shown = clip(text, width)
  return shown + padding(shown, width)
}

export function right(text: string, width: number): string {
  const shown = clip(text, width)
  return padding(shown, width) + shown
}

const blocks = '▁▂▃▄▅▆▇█'

/** The last `width` points, scaled to the highest of them; a zero is a flat line, not a gap. */
export function sparkline(points: readonly number[], width: number): string {
  const shown = width === 0 ? [] : points.slice(-width)
  const top = Math.max(...shown, 0)
  const bar = (value: number) => blocks[top <= 0 ? 0 : Math.min(7, Math.floor((value / top) * 7.999))] ?? blocks[0]
  return shown.map(bar).join('').padStart(width)
}

/** Microseconds as an operator reads them: `0.42`, `3.1`, `48`, `1.2s`; `-` without a value. The unit is ms. */
export function milliseconds(us: number | undefined): string {
  if (us === undefined) return '-'
  const ms = us / 1000
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms >= 10_000 ? 0 : 1)}s`
  if (ms >= 10) return ms.toFixed(0)
  return ms >= 1 ? ms.toFixed(1) : ms.toFixed(2)
}

/** `12`, `1,204`, `53k`, `1.2m`. */
export function short(count: number): string {
  if (count >= 1_000_000) return `${(count / 1_000_000).toFixed(1)}m`
  if (count >= 100_000) return `${Math.round(count / 1000)}k`
  return Math.round(count).toLocaleString('en-US')
}

export function perSecond(rate: number): string {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : short(rate)
}

/** `12s`, `4m`, `3h`, `2d`; `-` without a value. */
export function age(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '-'
  const seconds = Math.max(0, ms / 1000)
  if (seconds < 1) return `${Math.round(ms)}ms`
  if (seconds < 120) return `${Math.round(seconds)}s`
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`
}

/** The part of `count` rows that keeps `selected` in sight: `from` (included) to `to` (excluded). */
export function rowWindow(count: number, selected: number, height: number): { from: number; to: number } {
  const from = Math.max(0, Math.min(selected - Math.floor(height / 2), count - height))
  return { from, to: Math.min(count, from + Math.max(0, height)) }
}
