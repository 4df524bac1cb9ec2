import { EvtError } from '../core/errors.ts'

/** How often each subject is chosen: all alike, or the r-th in proportion to 1 / r^exponent. */
export type Skew = { readonly kind: 'uniform' } | { readonly kind: 'zipf'; readonly exponent: number }

/** Parses `uniform` and `zipf:1.1`. Throws `usage`. */
export function parseSkew(text: string): Skew {
  if (text === 'uniform') return { kind: 'uniform' }
  const exponent = Number(/^zipf:(\d+(?:\.\d+)?)$/.exec(text)?.[1])
  if (exponent > 0) return { kind: 'zipf', exponent }
  throw new EvtError('usage', `cannot use skew '${text}': it is uniform or zipf:EXPONENT`, {
    hint: 'example: --skew zipf:1.1',
  })
}

/** The key, 0..keys-1, of event k: pure, so that the sender and the judge of the order agree without a message. */
export function createKeyChoice(keys: number, skew: Skew, seed: number): (k: number) => number {
  if (skew.kind === 'uniform') return (k) => mix(seed, k) % keys
  const shares = zipfShares(keys, skew.exponent)
  return (k) => firstAbove(shares, mix(seed, k) / 2 ** 32)
}

/** Cumulative shares of the keys, rising to 1. */
function zipfShares(keys: number, exponent: number): Float64Array {
  const shares = new Float64Array(keys)
  let sum = 0
  for (let i = 0; i < keys; i++) {
    sum += 1 / (i + 1) ** exponent
    shares[i] = sum
  }
  return shares.map((share) => share / sum)
}

function firstAbove(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 1) <= value) low = middle + 1
    else high = middle
  }
  return low
}

/** 32 well-mixed bits of (seed, k): the finaliser of MurmurHash3. */
function mix(seed: number, k: number): number {
  let h = (Math.imul(seed | 0, 0x9e3779b1) ^ k) | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
