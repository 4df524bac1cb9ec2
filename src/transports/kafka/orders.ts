import type { Published } from '../transport.ts'
import type { Order } from './partition-writer.ts'

/** What one call of `publish` has for one partition, with the results of the call. */
export interface OpenOrder extends Order {
  expect(indices: readonly number[]): void
  /** Everything that is not settled gets this result. */
  end(result: Published): void
}

/** `settled` is called once: when everything has its result. */
export function createOrder(results: Published[], settled: () => void): OpenOrder {
  let open: readonly number[] = []
  let count = 0
  let ended = false
  const finish = (result: Published) => {
    if (ended) return
    ended = true
    for (const index of open) results[index] ??= result
    settled()
  }
  return {
    get ended() {
      return ended
    },
    expect(indices) {
      open = indices
    },
    stored(index, result) {
      if (ended) return
      results[index] = result
      if (++count < open.length) return
      ended = true
      settled()
    },
    failed(_, result) {
      finish(result)
    },
    end: finish,
  }
}
