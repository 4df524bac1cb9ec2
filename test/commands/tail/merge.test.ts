import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type MergeOptions, merge } from '../../../src/commands/tail/merge.ts'
import type { Seen, TailSource } from '../../../src/commands/tail/source.ts'

const seen = (recordedMs: number, topic: string) => ({ recordedMs, evt: { transport: 't', topic } }) as Seen
const batchOf = (topic: string, ...times: number[]) => times.map((ms) => seen(ms, topic))
const source = (name: string, isLive = false) => ({ name, isLive }) as TailSource

async function collect(
  given: Readonly<Record<string, () => AsyncIterable<readonly Seen[]>>>,
  options: Partial<MergeOptions> & { readonly ending?: AbortController } = {},
) {
  const ending = options.ending ?? new AbortController()
  const feeds = Object.entries(given).map(([name, batches]) => ({ source: source(name), batches: batches() }))
  const times: number[] = []
  const merged = merge(feeds, {
    ...{ follow: false, hasHistory: true, startedMs: 1_000, signal: ending.signal },
    ...options,
    ending,
  })
  for await (const { events } of merged) {
    times.push(...events.map(({ recordedMs }) => recordedMs))
  }
  return times
}

/** Goes on for ever, as a source does while it is followed. */
const silence = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

describe('merge', () => {
  it('gives the history of several sources in the order of its time, however it is cut into batches', async () => {
    const times = await collect({
      async *a() {
        yield batchOf('a', 1, 4, 5)
        await delay(5)
        yield batchOf('a', 9)
      },
      async *b() {
        await delay(10)
        yield batchOf('b', 2)
        yield batchOf('b', 3, 6, 8, 20)
      },
      async *c() {},
    })
    expect(times).toEqual([1, 2, 3, 4, 5, 6, 8, 9, 20])
  })

  it('waits for a slow history when it ends by itself', async () => {
    const times = await collect(
      {
        async *a() {
          yield batchOf('a', 5)
        },
        async *b() {
          await delay(50)
          yield batchOf('b', 1)
        },
      },
      { patienceMs: { first: 1, later: 1 } },
    )
    expect(times).toEqual([1, 5])
  })

  it('is held up by a source that has no history for no longer than its patience, and goes on with all of them', async () => {
    const ending = new AbortController()
    const merged = collect(
      {
        async *quiet() {
          await delay(60)
          yield batchOf('quiet', 2_000)
          await silence(ending.signal)
        },
        async *past() {
          yield batchOf('past', 1, 2)
          yield batchOf('past', 3_000)
          ending.abort()
        },
      },
      { ending, follow: true, patienceMs: { first: 20, later: 20 } },
    )
    expect((await merged).slice(0, 2)).toEqual([1, 2])
  })

  it('gives what is live as it comes, while others are silent', async () => {
    const ending = new AbortController()
    const times: number[] = []
    const feeds = [
      {
        source: source('a'),
        batches: (async function* () {
          for (let n = 0; n < 5; n++) yield batchOf('a', 5 - n)
          await silence(ending.signal)
        })(),
      },
      {
        source: source('b'),
        batches: (async function* () {
          await silence(ending.signal)
          yield* []
        })(),
      },
    ]
    const options = { follow: true, hasHistory: false, startedMs: 0, ending, signal: ending.signal }
    for await (const { events } of merge(feeds, options)) {
      times.push(...events.map(({ recordedMs }) => recordedMs))
      if (times.length === 5) ending.abort()
    }
    expect(times).toEqual([5, 4, 3, 2, 1])
  })

  it('fails with the source that fails, after it has ended the others', async () => {
    const ending = new AbortController()
    let isEnded = false
    const merged = collect(
      {
        async *a() {
          yield batchOf('a', 1)
          throw new Error('it broke')
        },
        async *b() {
          try {
            await silence(ending.signal)
          } finally {
            isEnded = true
          }
          yield* []
        },
      },
      { ending, follow: true, hasHistory: false },
    )
    await expect(merged).rejects.toThrow('it broke')
    expect(isEnded).toBe(true)
  })

  it('asks no source for more than one batch ahead', async () => {
    let given = 0
    const ending = new AbortController()
    const feeds = [
      {
        source: source('a'),
        batches: (async function* () {
          for (; given < 50; given++) yield batchOf('a', given)
        })(),
      },
    ]
    let taken = 0
    for await (const _piece of merge(feeds, {
      follow: true,
      hasHistory: true,
      startedMs: 0,
      ending,
      signal: ending.signal,
    })) {
      await delay(1)
      expect(given - taken++).toBeLessThanOrEqual(2)
    }
    expect(taken).toBe(50)
  })
})
