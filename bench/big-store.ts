// What a full store costs: the same work on a store of 10,000 events and on one of many, in turns on the same machine, so that what else
// runs there weighs on both. No figure may be more than 20 % worse, but for a subject of 100 events: it is read from as many pages, which of a
// small store are all in memory; that has to be done in 10 ms.
// `node bench/big-store.ts [events=1000000] [rounds=5] [words of what is to be measured …]`
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { argv, execPath, stderr, stdout } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { createBridge } from '../src/bridge.ts'
import { encodeEvent } from '../src/core/codec.ts'
import { defineEvent } from '../src/core/define-event.ts'
import { createRegistry } from '../src/core/registry.ts'
import type { HandlerDefinition } from '../src/handle/handler.ts'
import { openEventStore } from '../src/replay/event-store.ts'
import type { Store } from '../src/store/connection.ts'
import { observeOutbox } from '../src/store/observe.ts'
import { publishEncoded } from '../src/store/outbox.ts'
import { type FilledStore, openFilledStore } from './filled-store.ts'

const many = Number(argv[2] ?? 1_000_000)
const rounds = Number(argv[3] ?? 5)
const wanted = argv.slice(4)
const few = 10_000
const eventsPerSubject = 100
const mostWorse = 0.2
const registry = createRegistry([defineEvent('bench.appended', { 1: z.object({ n: z.number() }) })])

const sizes = new Map<Store, number>()
const subjectsOf = (store: Store) => (sizes.get(store) ?? few) / eventsPerSubject

/** Seconds of one piece of work. */
type Work = (filled: FilledStore, round: number) => Promise<number>

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1_000
}

const publish: Work = ({ store }, round) =>
  seconds(async () => {
    for (let batch = 0; batch < 50; batch += 1)
      await publishEncoded(
        store,
        Array.from({ length: 200 }, (_, n) =>
          encodeEvent({
            id: `published-${round}-${batch}-${n}`,
            type: 'bench.published',
            version: 1,
            source: 'bench',
            time: new Date().toISOString(),
            subject: `published/${n}`,
            priority: 'normal',
            metadata: {},
            data: { n, filler: 'x'.repeat(180) },
          }),
        ),
      )
  })

const append: Work = async ({ store }, round) => {
  const events = await openEventStore({ store, registry })
  const took = await seconds(async () => {
    for (let n = 0; n < 200; n += 1)
      await events.append(`appended/${round}`, n, [{ type: 'bench.appended', data: { n } }])
  })
  await events.close()
  return took
}

const readSubjects: Work = async ({ store }, round) => {
  const events = await openEventStore({ store, registry })
  const read = async (subject: number) => {
    let count = 0
    for await (const _ of events.readSubject(`subject/${subject}`)) count += 1
    if (count !== eventsPerSubject) throw new Error(`subject/${subject} has ${count} events`)
  }
  await read(0)
  const took: number[] = []
  // Far from each other, and others in each round.
  for (let n = 0; n < 100; n += 1) took.push(await seconds(() => read((n * 7919 + round * 31) % subjectsOf(store))))
  await events.close()
  return took.toSorted((a, b) => a - b)[94] ?? 0
}

const tailStart: Work = ({ store }) =>
  seconds(async () => {
    for (let n = 0; n < 10; n += 1) {
      const signal = new AbortController().signal
      for await (const _ of observeOutbox(store, { from: { timeMs: Date.now() - 1 }, follow: false, signal })) break
    }
  })

/** What is written behind the log's head, relayed and handled: from the first to the last that is handled. */
const handle =
  (effect: boolean): Work =>
  async ({ server, store, write }, round) => {
    const count = 20_000
    await store.query('create table if not exists effects (id text)')
    let seen = 0
    const handler: HandlerDefinition = {
      name: `bench.${effect ? 'effect' : 'noop'}.${round}`,
      on: ['bench.happened'],
      start: 'latest',
      ...(effect ? {} : { transaction: 'none' }),
      async handle(event, ctx) {
        if (effect) await ctx.sql`insert into effects values (${event.id})`
        seen += 1
      },
    }
    await store.query('select evt.ensure_group($1, 16, evt.head())', [handler.name])
    await write(count)
    const bridge = createBridge({ store: server.socketUrl, handlers: [handler], registry })
    await bridge.start()
    const until = async (least: number) => {
      while (seen < least) await delay(2)
    }
    await until(1_000)
    const took = await seconds(() => until(count))
    await bridge.stop()
    return took
  }

const command =
  (...words: string[]): Work =>
  async ({ server }) => {
    const main = join(import.meta.dirname, '../src/main.ts')
    return seconds(async () => {
      const ran = spawnSync(execPath, [main, ...words, '--store', server.socketUrl], { encoding: 'utf8' })
      if (ran.status !== 0) throw new Error(`evt ${words.join(' ')}: ${ran.stderr}`)
    })
  }

const works: Readonly<Record<string, Work>> = {
  'publish 10,000': publish,
  'append 200, one by one': append,
  'relay and noop, 20,000': handle(false),
  'relay and one-row effects, 20,000': handle(true),
  'readSubject of 100, p95': readSubjects,
  'tail from now, ten times': tailStart,
  'evt status': command('status', '--json'),
  'evt tail --since 1s': command('tail', '--since', '1s', '--no-follow', '--json'),
  'evt tail -n 10': command('tail', '--since', 'start', '-n', '10', '--json'),
  'evt handlers list': command('handlers', 'list', '--json'),
  'evt groups list': command('groups', 'list', '--json'),
  'evt dlq list': command('dlq', 'list', '--json'),
  'evt replay list': command('replay', 'list', '--json'),
  'evt retention show': command('retention', 'show', '--json'),
  'evt dash --once': command('dash', '--once', '--json'),
}

const goalMs: Readonly<Record<string, number>> = { 'readSubject of 100, p95': 10 }

const [small, big] = [
  await openFilledStore(few, { subjects: few / eventsPerSubject }),
  await openFilledStore(many, {
    subjects: many / eventsPerSubject,
    onWritten: (written) => tell(`${written.toLocaleString('en')} written and sequenced`),
  }),
]
sizes.set(big.store, many)
tell('vacuumed')
try {
  for (const [name, work] of Object.entries(works)) {
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue
    const took: [small: number[], big: number[]] = [[], []]
    // Code is compiled, connections and caches are there.
    tell(name)
    for (const filled of [small, big]) await work(filled, rounds)
    for (let round = 0; round < rounds; round += 1)
      for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
        took[which].push(await work(which === 0 ? small : big, round))
    // The best of each: what else runs on the machine only ever adds.
    const [a, b] = took.map((times) => Math.min(...times)) as [number, number]
    const ratio = b / a
    const verdict = ratio <= 1 + mostWorse || b * 1_000 < (goalMs[name] ?? 0) ? 'ok' : 'NOT MET'
    if (verdict !== 'ok') process.exitCode = 1
    stdout.write(
      `${name.padEnd(36)} ${ms(a)} of ${few.toLocaleString('en')}, ${ms(b)} of ${many.toLocaleString('en')}: ${ratio.toFixed(2)} ${verdict}\n`,
    )
  }
} finally {
  await small.close()
  await big.close()
}
process.exit()

function tell(what: string): void {
  stderr.write(`${(performance.now() / 1_000).toFixed(0).padStart(5)} s  ${what}\n`)
}

function ms(given: number): string {
  return `${(given * 1_000).toFixed(1).padStart(9)} ms`
}
