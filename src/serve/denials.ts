import type { Denial, HttpPorts } from './ports.ts'

export interface Denials {
  /** Never throws, never waits. */
  note(denial: Denial): void
  close(): Promise<void>
}

/** Rows of the audit log in an hour, however many are denied; what is beyond becomes one row. */
const mostRows = 100
const hourMs = 3_600_000
const writeEveryMs = 1_000

/** Counts what is denied, and tells it once a second: an attack is a few rows with large numbers. */
export function createDenials(write: HttpPorts['denied'], onError: (error: unknown) => void): Denials {
  let known = new Map<string, { readonly denial: Denial; times: number }>()
  let sinceMs = performance.now()
  let writing: Promise<void> = Promise.resolve()
  const timer = setInterval(() => flush(), writeEveryMs)
  timer.unref()

  async function writeAll(): Promise<void> {
    for (const one of known.values()) {
      const { times, denial } = one
      if (times === 0) continue
      await write(denial, times)
      one.times -= times
    }
    if (performance.now() - sinceMs < hourMs) return
    known = new Map()
    sinceMs = performance.now()
  }

  function flush(): Promise<void> {
    writing = writing.then(writeAll).catch(onError)
    return writing
  }

  return {
    note(denial) {
      const wanted = `${denial.who}\n${denial.target}\n${denial.reason}`
      const isRoom = known.size < mostRows || known.has(wanted)
      const key = isRoom ? wanted : 'others'
      const one = known.get(key) ?? { denial: isRoom ? denial : others, times: 0 }
      one.times += 1
      known.set(key, one)
    },
    async close() {
      clearInterval(timer)
      await flush()
    },
  }
}

const others: Denial = { who: 'others', target: 'http', reason: 'more than the audit log keeps apart' }
