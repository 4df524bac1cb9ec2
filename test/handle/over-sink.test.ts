import { describe, expect, it, onTestFinished } from 'vitest'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { type MemoryTransport, openMemory } from '../../src/transports/memory/index.ts'
import type { Lane, Transport } from '../../src/transports/transport.ts'
import { until } from '../setup/until.ts'
import { eventOf, messageOf, run } from './running.ts'

/** Settles nothing: what a process leaves that is killed right behind its commits. */
function unsettling(inner: MemoryTransport): Transport {
  const forgetful = (lane: Lane): Lane => ({
    id: lane.id,
    epoch: lane.epoch,
    lost: lane.lost,
    take: (max, signal) => lane.take(max, signal),
    settle: async () => {},
    release: () => lane.release(),
  })
  return {
    ...inner,
    async *lanes(topics, group, options) {
      for await (const lane of inner.lanes?.(topics, group, options) ?? []) yield forgetful(lane)
    },
  }
}

const recording = (extra: Partial<HandlerDefinition> = {}): HandlerDefinition => ({
  name: 'test.recording',
  on: ['thing.*'],
  start: 'earliest',
  retry: { attempts: 2, initial: '5ms', max: '10ms' },
  async handle(event, { sql }) {
    const { n } = event.data as { n: number }
    await sql.query('insert into effects (id, subject, sequence) values ($1, $2, $3)', [event.id, event.subject, n])
  },
  ...extra,
})

describe('handlers whose broker settles after the commit', () => {
  it('do nothing twice, and nothing behind what overtook it, after they were killed in between', async () => {
    const inner = recording()
    const failing = recording({
      async handle(event, context) {
        if ((event.data as { n: number }).n === 2) throw new Error('not this one')
        await inner.handle(event, context)
      },
    })
    const name = `memory://over-sink-${Math.random().toString(36).slice(2)}`
    const first = openMemory(name)
    const running = await run([failing], { transport: unsettling(first) })
    const events = Array.from({ length: 40 }, (_, i) => ({
      type: 'thing.made',
      subject: `s${i % 4}`,
      data: { n: Math.floor(i / 4) + 1 },
    }))
    await running.publish(...events)
    await until(async () => (await running.rows('select from effects')).length === 36)
    await until(async () => (await running.rows('select from evt.dead_letters')).length === 4)
    first.die()
    const second = openMemory(name)
    onTestFinished(() => second.close())
    await running.another([recording()], { transport: second })
    const later = events.slice(0, 4).map((event) => messageOf(eventOf({ ...event, data: { n: 11 } })))
    await second.publish('events', later, AbortSignal.timeout(5_000))
    await until(async () => (await running.rows('select from effects')).length >= 40)
    const effects = await running.rows('select id, subject, sequence::int as n from effects order by effects.n')
    expect(new Set(effects.map(({ id }) => id)).size).toBe(40)
    for (const own of Map.groupBy(effects, ({ subject }) => subject).values())
      expect(own.map(({ n }) => n)).toEqual([1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(await running.rows(`select from evt.dead_letters where status = 'open'`)).toHaveLength(4)
  })

  it('leave the process its turns while a lane that is being given back answers with nothing', async () => {
    const inner = openMemory(`memory://over-sink-${Math.random().toString(36).slice(2)}`)
    const taken = new Map<string, number[]>()
    const empty = (lane: Lane): Lane => ({
      ...lane,
      async take(max, signal) {
        const timesMs = taken.get(lane.id) ?? []
        taken.set(lane.id, [...timesMs, performance.now()])
        return timesMs.length < 3 ? [] : lane.take(max, signal)
      },
    })
    const transport: Transport = {
      ...inner,
      async *lanes(topics, group, options) {
        for await (const lane of inner.lanes?.(topics, group, options) ?? []) yield empty(lane)
      },
    }
    await run([recording()], { transport })
    const [first = 0, , , fourth = 0] = await until(() => [...taken.values()].find(({ length }) => length === 4))
    expect(fourth - first).toBeGreaterThan(200)
  })
})
