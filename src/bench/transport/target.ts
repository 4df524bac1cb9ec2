import { extname } from 'node:path'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { createRegistry } from '../../core/registry.ts'
import { createDirectSubscribers, type DirectSubscribers } from '../../handle/direct/direct-subscribers.ts'
import type { Transport } from '../../transports/transport.ts'
import { createRecorder } from '../../watch/recorder.ts'
import { createCommits } from '../bridge/commits.ts'
import { type HandlerKind, nameKinds } from '../bridge/handler-kind.ts'
import { createBenchHandlers } from '../bridge/handlers.ts'
import { scratchNames } from '../bridge/names.ts'
import { type OutageWatch, watchBy } from '../bridge/outage.ts'
import { complaints as complaintsLog, outspoken, refuseToPublish } from '../bridge/subscribe.ts'
import { watchCommits } from '../bridge/watch-commits.ts'
import { endsWithin } from '../patience.ts'
import type { BenchTarget } from '../target.ts'
import { locateOnTransport } from './locate.ts'
import type { TransportProducerOptions } from './producer.ts'
import type { FromMain, ToMain } from './wire.ts'

export interface TransportTargetOptions {
  /** Closed with the target. */
  readonly transport: Transport
  /** Where it is, with the password. */
  readonly url: string
  /** For the report. */
  readonly shown: string
  readonly run: string
  readonly kinds: readonly HandlerKind[]
  /** Of the topic. */
  readonly lanes: number
  /** Something that the operator should know while it runs. */
  readonly warn: (message: string) => void
}

const producerFile = new URL(`./producer${extname(import.meta.url)}`, import.meta.url).href
const stepMs = 5_000

/** The direct topology: publisher → transport → handlers, over a topic of the run's own. */
export function createTransportTarget(options: TransportTargetOptions): BenchTarget {
  const { transport, run, kinds, shown } = options
  const names = scratchNames(run)
  const topic = `evt-bench-${run}`
  const handlers = nameKinds(kinds)
  const complaints = new Set<string>()
  const facts: Record<string, string> = { broker: transport.name, lanes: String(options.lanes) }
  const door = transport.capabilities.durable ? undefined : openDoor(transport)
  let subscribers: DirectSubscribers | undefined
  let outage: OutageWatch | undefined
  let isGone = false
  let closing: Promise<void> | undefined

  const complain = (message: string) => {
    if (isGone || closing) return
    if (!complaints.has(message) && complaints.size < 5) options.warn(message)
    complaints.add(message)
  }

  async function closeAll(): Promise<void> {
    const steps = [
      () => subscribers?.stop({ graceMs: 500 }),
      () => (isGone ? undefined : removeTopic()),
      () => outage?.stop(),
      () => transport.close(),
    ]
    for (const step of steps) await endsWithin(Promise.resolve(step()), stepMs).catch(() => {})
    door?.close()
  }

  async function removeTopic(): Promise<void> {
    if (!transport.capabilities.durable) return
    if (transport.remove) await transport.remove([topic])
    else options.warn(`topic ${topic} remains on ${shown}: ${transport.name} does not remove topics`)
  }

  const producer: TransportProducerOptions = {
    names,
    topic,
    ...(door ? { port: door.port } : { url: options.url }),
  }
  return {
    label: `${transport.name} on ${shown}, no store: publisher, topic of ${options.lanes} lanes, handlers`,
    handlers,
    hint: 'what stands above says what the broker refused; may this user create topics and groups?',
    producer: { module: producerFile, options: producer, transfer: door ? [door.port] : [] },
    async open(sightings, clock) {
      const [difference] = await transport.ensure([{ name: topic, lanes: options.lanes }], 'create')
      if (difference) complain(`${difference.topic}: ${difference.problem}`)
      const version = await transport.about?.()
      if (version) facts.broker = version
      outage = watchBy(() => transport.inspect([topic]), shown)
      void outage.gone.then(() => {
        isGone = true
      })
      const commits = createCommits(sightings, { run, prefix: names.handlerPrefix, handlers, clock })
      subscribers = createDirectSubscribers({
        transport: watchCommits(transport, commits.settled),
        registry: createRegistry([]),
        recorder: outspoken(createRecorder(), complain),
        instance: names.instance,
        log: complaintsLog(complain),
        topicsOf: async () => [topic],
        groupOf: (handler) => handler,
        publish: refuseToPublish,
      })
      const definitions = createBenchHandlers({ kinds, handlers, names, sightings, clock, returned: commits.returned })
      await Promise.all(definitions.map((definition) => subscribers?.add(definition)))
    },
    gone: () => outage?.gone ?? new Promise(() => {}),
    locate: (handler, ks) =>
      locateOnTransport(transport, { topic, run, group: `${names.handlerPrefix}${handlers[handler]}`, ks }),
    // The handlers' own sightings are the only witness: what they do leaves nothing behind.
    evidence: async () => handlers.map(() => ({ duplicates: 0, reordered: 0 })),
    facts: () => facts,
    close() {
      closing ??= closeAll()
      return closing
    },
  }
}

/** The generator's thread has a memory of its own: what it publishes comes through a port. */
function openDoor(transport: Transport): { readonly port: MessagePort; close(): void } {
  const { port1, port2 } = new MessageChannel()
  port1.on('message', async ({ n, topic, batch }: ToMain) => {
    const results = await transport
      .publish(topic, batch, AbortSignal.timeout(stepMs))
      .catch((error: Error) => batch.map(() => ({ state: 'unknown', error }) as const))
    const answers = results.map((result) =>
      'error' in result ? { state: result.state, reason: result.error.message } : { state: result.state },
    )
    port1.postMessage({ n, results: answers } satisfies FromMain)
  })
  return { port: port2, close: () => port1.close() }
}
