import { EvtError } from './errors.ts'
import { createRandom } from './random.ts'

/** How events spread around their rate: evenly, at random as independent users would, or in groups of `size`. */
export type Arrival =
  | { readonly kind: 'uniform' }
  | { readonly kind: 'poisson' }
  | { readonly kind: 'burst'; readonly size: number }

/** Parses `uniform`, `poisson` and `burst:N`. Throws `usage`. */
export function parseArrival(text: string): Arrival {
  if (text === 'uniform' || text === 'poisson') return { kind: text }
  const [, digits] = /^burst:(\d+)$/.exec(text) ?? []
  const size = Number(digits)
  if (size >= 1) return { kind: 'burst', size }
  throw new EvtError('usage', `cannot use arrival '${text}': it is uniform, poisson or burst:N with N of 1 or more`, {
    hint: 'example: --arrival burst:50',
  })
}

/**
 * Event k is due when the rate, added up since the start, has reached `mass(k)` events: k itself for uniform arrivals.
 * Pure in (arrival, seed, k); never falls.
 */
export function createArrivalMass(arrival: Arrival, seed: number): (k: number) => number {
  if (arrival.kind === 'uniform') return (k) => k
  if (arrival.kind === 'burst') return (k) => k - (k % arrival.size)
  return createPoissonMass(seed)
}

const blockSize = 65_536

// Prefix sums of exponential gaps, a block at a time, each block from its own generator: only the block in use and one
// sum a block are kept, however long the run.
function createPoissonMass(seed: number): (k: number) => number {
  const starts: number[] = [0]
  let current = -1
  let sums = new Float64Array(0)

  function load(block: number): void {
    sums = poissonBlock(seed, block)
    current = block
    starts[block + 1] = (starts[block] ?? 0) + (sums[blockSize - 1] ?? 0)
  }

  return (k) => {
    const block = Math.floor(k / blockSize)
    while (starts.length <= block) load(starts.length - 1)
    if (current !== block) load(block)
    return (starts[block] ?? 0) + (sums[k % blockSize] ?? 0)
  }
}

function poissonBlock(seed: number, block: number): Float64Array<ArrayBuffer> {
  const random = createRandom(seed + block * 1_000_003)
  const sums = new Float64Array(blockSize)
  let sum = 0
  for (let i = 0; i < blockSize; i++) {
    sum -= Math.log(1 - random())
    sums[i] = sum
  }
  return sums
}
