// A replay of history to handlers that do nothing: how many events a second, what of the processor an event takes in this process, and
// memory while it runs. `count` is what a replay does first: reading all of it to say how many there are.
// `node bench/replay.ts [events=300000] [case …]`; the goal is for 1000000.
import { argv, stdout } from 'node:process'
import { createRegistry } from '../src/core/registry.ts'
import type { HandlerDefinition } from '../src/handle/handler.ts'
import { createStorePublisher } from '../src/publish/publisher.ts'
import { compileSelection, scanHistory } from '../src/replay/history.ts'
import { replayToHandlers } from '../src/replay/to-handlers.ts'
import type { Store } from '../src/store/connection.ts'
import { createLogReader } from '../src/store/log.ts'
import { createReplay, endReplay, findReplay, type Replay, takeReplay } from '../src/store/replays.ts'
import { createRecorder } from '../src/watch/recorder.ts'
import { openFilledStore } from './filled-store.ts'

const [, , first = '300000', ...named] = argv
const events = Number(first)
const goalPerSecond = 30_000
const sampleMs = 500

const cases: Readonly<Record<string, Pick<HandlerDefinition, 'transaction'>>> = {
  noop: { transaction: 'none' },
  inbox: {},
}

async function count(store: Store): Promise<string> {
  const reader = createLogReader(store)
  const wants = compileSelection({ types: ['bench.*'], nowMs: Date.now() })
  const began = performance.now()
  const span = { after: 0n, upto: BigInt(events), signal: new AbortController().signal }
  const { matched } = await scanHistory(reader, { ...span, wants })
  const rate = Math.round(events / ((performance.now() - began) / 1_000))
  await reader.close()
  return `count: ${rate.toLocaleString('en')}/s ${matched === events ? 'ok' : 'NOT MET'}\n`
}

async function measure(store: Store, name: string): Promise<string> {
  const last = new Map<string, number>()
  const seen = { count: 0, misordered: 0 }
  const handler: HandlerDefinition = {
    name: `bench.${name}`,
    on: ['bench.*'],
    ...cases[name],
    handle(event) {
      seen.count += 1
      const subject = event.subject ?? ''
      if (event.sequence !== (last.get(subject) ?? 0) + 1) seen.misordered += 1
      last.set(subject, event.sequence ?? 0)
    },
  }
  const selection = { types: [], nowMs: Date.now() }
  const handlers = [handler.name]
  const upto = BigInt(events)
  await createReplay(store, {
    id: name,
    kind: 'handlers',
    handlers,
    selection,
    after: 0n,
    upto,
    matched: events,
    by: 'bench',
  })
  const replay = (await findReplay(store, name)) as Replay
  const lease = await takeReplay(store, name, 'bench')
  if (!lease) throw new Error('somebody else runs it')
  const registry = createRegistry([])
  const publisher = createStorePublisher({ store, registry, source: 'bench' })
  const silent = { debug() {}, info() {}, warn: console.warn, error: console.error }
  const mib: number[] = []
  const sampling = setInterval(() => mib.push(Math.round(process.memoryUsage.rss() / 2 ** 20)), sampleMs)
  const began = performance.now()
  const cpu = process.cpuUsage()
  const { end, handlers: outcome } = await replayToHandlers({
    store,
    replay,
    lease,
    handlers: [handler],
    wants: compileSelection(selection),
    registry,
    recorder: createRecorder(),
    log: silent,
    instance: `bench-${name}`,
    connections: 4,
    signal: new AbortController().signal,
    publish: (sql, given) => publisher.publish(sql, given),
    onProgress() {},
  })
  const seconds = (performance.now() - began) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  clearInterval(sampling)
  const handled = outcome[0]?.handled ?? 0
  const ending = performance.now()
  await endReplay(store, replay, { status: 'done', done: handled })
  const endSeconds = (performance.now() - ending) / 1_000
  const rate = Math.round(events / seconds)
  const isRight = end === 'done' && seen.count === events && seen.misordered === 0 && handled === events
  const verdict = isRight && (name !== 'noop' || rate >= goalPerSecond) ? 'ok' : 'NOT MET'
  const quarters = [0.25, 0.5, 0.75, 1].map((part) => mib[Math.ceil(part * mib.length) - 1] ?? 0)
  return (
    `${name}: ${rate.toLocaleString('en')}/s ${verdict}; ${((user + system) / events).toFixed(1)} µs of the processor an event, ` +
    `${seen.count} runs, ${handled} counted, ${seen.misordered} out of order, ended in ${endSeconds.toFixed(1)} s; MiB after each quarter ${quarters.join(', ')}\n`
  )
}

const { store, close } = await openFilledStore(events)
try {
  for (const name of named.length > 0 ? named : ['count', ...Object.keys(cases)]) {
    const said = await (name === 'count' ? count(store) : measure(store, name))
    if (said.includes('NOT MET')) process.exitCode = 1
    stdout.write(said)
  }
} finally {
  await close()
}
process.exit()
