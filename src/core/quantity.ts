import { EvtError } from './errors.ts'

const countFactors: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 }
const sizeFactors: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** `10`, `10k`, `1.5m`, `1,000,000` as a whole number >= 0. Throws `usage`. */
export function parseCount(text: string): number {
  const count = scaled(text, countFactors)
  if (count === undefined) {
    throw new EvtError('usage', `cannot read count '${text}': expected a whole number such as 500, 10k or 1.5m`)
  }
  return count
}

/** `512`, `10kB`, `2MiB`, `1.5 GiB` as whole bytes. Throws `usage`, also for `2M`, which means two different sizes. */
export function parseSize(text: string): number {
  const size = scaled(text, sizeFactors)
  if (size !== undefined) return size
  const unit = /^[\d.,]+ ?([kmgt])$/i.exec(text)?.[1]?.toUpperCase()
  const hint = unit ? `write ${unit}iB (1024) or ${unit === 'K' ? 'k' : unit}B (1000)` : 'for example 512, 64KiB, 2MiB'
  throw new EvtError('usage', `cannot read size '${text}': expected bytes with a unit`, { hint })
}

/** `1204332` as `1,204,332`: exact, the same in every locale. */
export function formatCount(count: number | bigint): string {
  const [whole = '', fraction] = String(count).split('.')
  if (!/^-?\d+$/.test(whole)) return String(count)
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** Three significant digits for narrow columns: `999`, `1.2k`, `48.3k`, `1.2m`. */
export function formatRoundedCount(count: number): string {
  return rounded(count, 1000, ['', 'k', 'm', 'g', 't'])
}

/** Three significant digits in powers of 1024: `512 B`, `1.5 MiB`. */
export function formatSize(bytes: number): string {
  return rounded(bytes, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB'])
}

function scaled(text: string, factors: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)? ?([a-z]*)$/i.exec(text)
  if (!match) return undefined
  const unit = (match[3] ?? '').toLowerCase()
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined
  if (factor === undefined) return undefined
  const value = Number(`${(match[1] ?? '').replaceAll(',', '')}${match[2] ?? ''}`) * factor
  // 1.1k is 1100.0000000000002 in binary.
  const whole = Math.round(value)
  return Math.abs(value - whole) < 1e-6 * factor && Number.isSafeInteger(whole) ? whole : undefined
}

function rounded(value: number, base: number, units: readonly string[]): string {
  if (!Number.isFinite(value)) return String(value)
  if (value < 0) return `-${rounded(-value, base, units)}`
  let shown = value
  let unit = 0
  // 999.6 would round to 1000 of a unit whose next one exists.
  while (Number(significant(shown)) >= base && unit < units.length - 1) {
    shown /= base
    unit++
  }
  return `${significant(shown)}${units[unit]}`
}

function significant(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}
