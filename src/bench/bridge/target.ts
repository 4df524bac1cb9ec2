import { extname } from 'node:path'
import type { Subscribers } from '../../handle/subscribers.ts'
import type { Store } from '../../store/connection.ts'
import type { Transport } from '../../transports/transport.ts'
import { createInstanceRegistry, type InstanceRegistry } from '../../watch/instances.ts'
import { createRecorder } from '../../watch/recorder.ts'
import { endsWithin } from '../patience.ts'
import type { BenchTarget } from '../target.ts'
import { createCommits } from './commits.ts'
import { measureClock } from './database-clock.ts'
import { readEvidence } from './evidence.ts'
import { type HandlerKind, nameKinds } from './handler-kind.ts'
import { createBenchHandlers } from './handlers.ts'
import { locateInStore } from './locate.ts'
import { scratchNames } from './names.ts'
import { type OutageWatch, watchForOutage } from './outage.ts'
import type { StoreProducerOptions } from './producer.ts'
import { openScratch, type Scratch } from './scratch.ts'
import { readSequencedTimes } from './sequenced-times.ts'
import { type Standby, standBy } from './standby.ts'
import { complaints as complaintsLog, subscribe } from './subscribe.ts'
import { watchCommits } from './watch-commits.ts'

export interface BridgeTargetOptions {
  readonly store: Store
  /** What the handlers read, the store's log or a sink of it; closed with the target. */
  readonly transport: Transport
  /** Of a sink; default: the log. */
  readonly topics?: readonly string[]
  readonly run: string
  readonly kinds: readonly HandlerKind[]
  /** Of evt. */
  readonly version: string
  /** For the report: what the store is to its user. */
  readonly storeLabel: string
  /** Something that the operator should know while it runs. */
  readonly warn: (message: string) => void
}

const producerFile = new URL(`./producer${extname(import.meta.url)}`, import.meta.url).href
/** Enough to have several commits under way at once; a key stays on one. */
const producerConnections = 4
/** For one step of closing: usually, and when the store does not answer or another step hung. */
const stepMs = { usually: 5_000, hurried: 1_000 }

/** The whole bridge: outbox → relay → log → lanes → handlers, in a namespace of the run's own. */
export function createBridgeTarget(options: BridgeTargetOptions): BenchTarget {
  const { store, kinds, run } = options
  const names = scratchNames(run)
  const handlers = nameKinds(kinds)
  const complaints = new Set<string>()
  const facts: Record<string, string> = { postgres: String(store.serverVersion) }
  let clock = () => 0
  let after = 0n
  let scratch: Scratch | undefined
  const recorder = createRecorder()
  let outage: OutageWatch | undefined
  let isGone = false
  let registry: InstanceRegistry | undefined
  let relay: Standby | undefined
  let subscribers: Subscribers | undefined
  let closing: Promise<void> | undefined

  const complain = (message: string) => {
    // What falls over after the store did says nothing new; what is closed has nothing to say.
    if (isGone || closing) return
    if (!complaints.has(message) && complaints.size < 5) options.warn(message)
    complaints.add(message)
  }

  /** It may have gone a moment ago: the watch needs longer to be sure. */
  async function answers(): Promise<boolean> {
    return !isGone && (await endsWithin(store.query('select 1'), stepMs.hurried * 2).catch(() => false))
  }

  async function closeAll(): Promise<void> {
    isGone = !(await answers())
    const steps = [
      // What is not finished by now is removed anyway.
      () => subscribers?.stop({ graceMs: 500 }),
      () => options.transport.close(),
      () => relay?.stop(),
      () => registry?.stop(),
      () => (isGone ? scratch?.leave() : scratch?.remove()),
      () => outage?.stop(),
    ]
    const failures: unknown[] = []
    let isLate = false
    for (const step of steps) {
      const ended = endsWithin(step() ?? Promise.resolve(), isGone || isLate ? stepMs.hurried : stepMs.usually)
      isLate = !(await ended.catch((error: unknown) => failures.push(error))) || isLate
    }
    if (isGone) return
    if (failures.length > 0) throw failures[0]
    if (isLate) options.warn(`not all of run ${run} could be removed in time: the next \`evt bench\` removes it`)
  }

  return {
    get label() {
      return `bridge on ${options.storeLabel}, ${relay?.isOwn ? 'its relay started for the run' : 'the relay that runs'}`
    },
    handlers,
    hint: 'is a relay running? see `evt dash`',
    producer: {
      module: producerFile,
      options: { url: store.connectionString, names, connections: producerConnections } satisfies StoreProducerOptions,
    },
    async open(sightings, now) {
      clock = now
      scratch = await openScratch(store, names)
      const settings = await readSettings(store)
      Object.assign(facts, settings)
      outage = await watchForOutage(store.connectionString)
      void outage.gone.then(() => {
        isGone = true
      })
      const shared = { store, instance: names.instance, recorder }
      const onError = () => {}
      registry = createInstanceRegistry({ ...shared, roles: ['bench'], version: options.version, onError })
      await registry.start()
      relay = await standBy({ ...shared, log: complaintsLog(complain), clock: now })
      after = BigInt((await store.query('select evt.head() as head')).rows[0]?.head as string)
      const commits = createCommits(sightings, { run, prefix: names.handlerPrefix, handlers, clock: now })
      subscribers = await subscribe({
        ...shared,
        transport: watchCommits(options.transport, commits.settled),
        handlers: createBenchHandlers({ kinds, handlers, names, sightings, clock: now, returned: commits.returned }),
        ...(options.topics ? { topics: options.topics } : {}),
        complain,
      })
    },
    gone: () => outage?.gone ?? new Promise(() => {}),
    remarks() {
      const at = relay?.tookOverUs
      if (at === undefined) return []
      return [`the relay that ran ended: bench relays itself since ${(at / 1e6).toFixed(1)} s after the start`]
    },
    locate: (handler, ks) =>
      locateInStore(store, { names, handler: `${names.handlerPrefix}${handlers[handler]}`, ks, after }),
    evidence: () => readEvidence(store, names, handlers.length),
    async sequenced(total) {
      const offset = await measureClock(store, clock)
      facts.clock = `±${Math.round(offset.errorUs)} µs`
      return readSequencedTimes(store, { names, total, after, clock: offset })
    },
    facts: () => facts,
    close() {
      closing ??= closeAll()
      return closing
    },
  }
}

/** What decides how fast a commit is. */
async function readSettings(store: Store): Promise<Record<string, string>> {
  const { rows } = await store.query(`select current_setting('server_version') as postgres,
    current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit`)
  return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, value]) => [name, String(value)]))
}
