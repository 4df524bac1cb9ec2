// Transport noop: takes everything and keeps nothing. For measuring what everything else costs; publishing allocates nothing.
import { EvtError } from '../../core/errors.ts'
import { nothingPromised } from '../nothing-promised.ts'
import type { Published, Transport } from '../transport.ts'

export const noopCapabilities = nothingPromised

const stored: Published = Object.freeze({ state: 'stored' })

/** Has no lanes: what was published is gone. `observe` sees nothing, for as long as it is asked to follow. */
export function openNoop(): Transport {
  // One answer for each batch size, made once.
  const answers: Promise<readonly Published[]>[] = []
  const closing = new AbortController()

  function answer(size: number): Promise<readonly Published[]> {
    const known = answers[size]
    if (known !== undefined) return known
    const made = Promise.resolve(Object.freeze(Array<Published>(size).fill(stored)))
    if (size < 10_000) answers[size] = made
    return made
  }

  return {
    name: 'noop',
    capabilities: noopCapabilities,
    named: [],
    isNowhere: true,
    observes: 'nothing: what it takes is gone',
    ensure: async () => [],
    publish(topic, batch, signal) {
      if (signal.aborted) return Promise.resolve(batch.map(() => ({ state: 'unknown', error: interrupted(topic) })))
      if (closing.signal.aborted) return Promise.reject(new EvtError('closed', 'cannot publish: noop was closed'))
      return answer(batch.length)
    },
    async *observe(_selector, { follow, signal }) {
      const ended = AbortSignal.any([signal, closing.signal])
      if (!follow || ended.aborted) return
      await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }))
    },
    inspect: async () => ({ topics: [], groups: [] }),
    close: async () => closing.abort(),
  }
}

function interrupted(topic: string): EvtError {
  return new EvtError('interrupted', `cannot publish to ${topic}: aborted`)
}
