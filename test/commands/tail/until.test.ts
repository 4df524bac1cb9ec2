import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Seen, Span, TailSource } from '../../../src/commands/tail/source.ts'
import { readUntil } from '../../../src/commands/tail/until.ts'

const seen = (id: string, recordedMs: number) =>
  ({ recordedMs, event: { id }, evt: { transport: 't', topic: 'a', position: id } }) as Seen

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

/** What is followed comes late: all that it has is in its history. */
function late(history: readonly Seen[], followed: readonly Seen[], facts: Partial<TailSource> = {}) {
  const spans: Span[] = []
  const source = {
    ...{ name: 't', seeks: ['start', 'time'], isLive: false },
    async *read(span: Span) {
      spans.push(span)
      if (!span.follow) yield history
      else {
        if (followed.length > 0) yield followed
        await aborted(span.signal)
      }
    },
    ...facts,
  } as unknown as TailSource
  return { source, spans }
}

const warnings: string[] = []

async function shown(source: TailSource, from: Span['from'], untilMs: number, signal = new AbortController().signal) {
  warnings.length = 0
  const warn = (message: string) => void warnings.push(message)
  const ids: string[] = []
  const span = { from, follow: true, signal, onReady() {}, onLost() {}, onBack() {} }
  for await (const batch of readUntil(source, span, { untilMs, startedMs: 500, now: Date.now, warn }))
    ids.push(...batch.map(({ event }) => event.id))
  return ids
}

describe('tail --until of a time to come', () => {
  it('shows what was recorded before and had not come, and nothing twice', async () => {
    const all = [seen('1', 20_000), seen('2', 21_000), seen('3', 22_000)]
    const { source, spans } = late(all, [all[0] as Seen, all[2] as Seen])
    expect(await shown(source, 'now', Date.now() + 20)).toEqual(['1', '3', '2'])
    expect(spans.map(({ from, follow }) => [from, follow])).toEqual([
      ['now', true],
      [{ timeMs: 17_000 }, false],
    ])
  })

  it('looks from where it began when nothing has come', async () => {
    const now = late([seen('1', 600)], [])
    expect(await shown(now.source, 'now', Date.now() + 20)).toEqual(['1'])
    expect(now.spans[1]?.from).toEqual({ timeMs: 500 })
    const start = late([seen('1', 600)], [])
    await shown(start.source, 'start', Date.now() + 20)
    expect(start.spans[1]?.from).toBe('start')
  })

  it('shows what one partition has late among many that come quickly', async () => {
    const all = Array.from({ length: 60_000 }, (_, n) => seen(`${n}`, 50_000 + Math.floor(n / 20)))
    const isLate = ({ event, recordedMs }: Seen) => Number(event.id) % 4 === 3 && recordedMs >= 51_500
    const { source, spans } = late(
      all,
      all.filter((one) => !isLate(one)),
    )
    const ids = await shown(source, 'now', Date.now() + 20)
    expect([ids.length, new Set(ids).size]).toEqual([60_000, 60_000])
    expect(spans[1]?.from).toEqual({ timeMs: 47_999 })
    expect(warnings).toEqual([])
  })

  it('goes no further back than it remembers, and says so', async () => {
    const many = Array.from({ length: 300_000 }, (_, n) => seen(`${n}`, 50_000 + Math.floor(n / 100)))
    const { source, spans } = late(many.slice(-500), [])
    const read = source.read.bind(source)
    const inBatches = {
      ...source,
      async *read(span: Span) {
        if (!span.follow) return yield* read(span)
        for (const at of [0, 100_000, 200_000]) yield many.slice(at, at + 100_000)
        await aborted(span.signal)
      },
    }
    expect(await shown(inBatches, 'now', Date.now() + 20)).toHaveLength(300_000)
    expect(spans[0]?.from).toEqual({ timeMs: 51_000 })
    expect(warnings).toEqual([expect.stringContaining('what was late may be missing')])
  })

  it('ends where there is no history with what has come, and with Ctrl-C at once', async () => {
    const live = late([seen('2', 2)], [seen('1', 1)], { isLive: true })
    expect(await shown(live.source, 'now', Date.now() + 20)).toEqual(['1'])
    const stopping = new AbortController()
    const stopped = late([seen('2', 2)], [seen('1', 1)])
    const ids = shown(stopped.source, 'now', Date.now() + 60_000, stopping.signal)
    await delay(5)
    stopping.abort()
    expect(await ids).toEqual(['1'])
  })
})
