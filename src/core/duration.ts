import { EvtError } from './errors.ts'

const unitsMs = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001 } as const
type Unit = keyof typeof unitsMs
const units = Object.keys(unitsMs) as Unit[]

/**
 * `1m30s`, `250ms`, `2h`, `1.5s`, `500us` as milliseconds. Units from large to small, each once: w d h m s ms us; `0`
 * needs none. Throws `usage` for anything else: a bare number, a sign, a space.
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0
  const pieces = /(\d+(?:\.\d+)?)(ms|us|µs|[wdhms])/y
  let total = 0
  let largest = -1
  while (pieces.lastIndex < text.length) {
    const piece = pieces.exec(text)
    const unit = piece?.[2]?.replace('µ', 'u') as Unit | undefined
    if (!piece || !unit || units.indexOf(unit) <= largest) throw notADuration(text)
    largest = units.indexOf(unit)
    total += inMs(piece[1] ?? '', unit)
  }
  if (text === '' || total > Number.MAX_SAFE_INTEGER) throw notADuration(text)
  return Number(total.toFixed(3))
}

/** Exact to the microsecond, the shortest form that `parseDuration` reads back: `1m30s`, `1.5s`, `2h`, `250us`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return String(ms)
  if (ms < 0) return `-${formatDuration(-ms)}`
  const us = Math.round(ms * 1000)
  if (us < 1000) return us === 0 ? '0s' : `${us}us`
  if (us < 1_000_000) return `${us / 1000}ms`
  let text = ''
  let restMs = Math.floor(us / 1000)
  for (const unit of ['d', 'h', 'm'] as const) {
    const whole = Math.floor(restMs / unitsMs[unit])
    if (whole > 0) text += `${whole}${unit}`
    restMs -= whole * unitsMs[unit]
  }
  const seconds = (restMs * 1000 + (us % 1000)) / 1_000_000
  return seconds === 0 ? text : `${text}${seconds}s`
}

/** For tables, not for reading back: the two largest units, `3d4h`, `1m30s`, `12.3s`, `4.56ms`. */
export function formatAge(ms: number): string {
  if (!Number.isFinite(ms)) return String(ms)
  if (ms < 0) return `-${formatAge(-ms)}`
  if (ms < 60_000) return formatDuration(Number(ms.toPrecision(3)))
  const step = ms < unitsMs.h ? unitsMs.s : ms < unitsMs.d ? unitsMs.m : unitsMs.h
  return formatDuration(Math.round(ms / step) * step)
}

/** Decimal text times a power of ten, so that 1.1s is 1100 and not 1100.0000000000002. */
function inMs(decimal: string, unit: Unit): number {
  const exponent = unit === 'us' ? -3 : 0
  const factor = unit === 'us' ? 1 : unitsMs[unit]
  return Number(`${decimal}e${exponent}`) * factor
}

function notADuration(text: string): EvtError {
  const bare = /^\d+(\.\d+)?$/.test(text)
  return new EvtError(
    'usage',
    `cannot read duration '${text}': ${bare ? 'the unit is missing' : 'expected something like 1m30s'}`,
    {
      hint: bare
        ? `write ${text}s or ${text}ms`
        : 'units are w, d, h, m, s, ms and us, from large to small: 250ms, 1m30s, 2h',
    },
  )
}
