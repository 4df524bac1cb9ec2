// A consumer of its own process, whose memory is looked at: `node consumer-process.ts <ConsumerProcessOptions>`. Says `ready` when it has
// its lanes; with `hold`, `holding` when it has begun what it may and settles nothing until a line on stdin. Tells what it has as lines
// `at <ConsumerState>`, ten a second. Ends with its parent.
import { setTimeout as delay } from 'node:timers/promises'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Lane } from '../../src/transports/transport.ts'

export interface ConsumerProcessOptions {
  /** Of the broker. */
  readonly url: string
  readonly topic: string
  readonly lanes: number
  /** Handlers of a bridge over this store, which read the broker; without it, the transport's lanes as they are. */
  readonly store?: string
  readonly prefetch: number
  readonly hold: boolean
  /** The topic is somebody else's. */
  readonly foreign?: boolean
}

/** What this process has just now. */
export interface ConsumerState {
  readonly residentMiB: number
  /** Begun, and not settled: now, and at most so far. */
  readonly unsettled: number
  readonly mostUnsettled: number
  readonly settled: number
}

const options = JSON.parse(process.argv[2] ?? '{}') as ConsumerProcessOptions
const gate = Promise.withResolvers<void>()
const ending = new AbortController()
let [begun, settled, mostUnsettled, joined] = [0, 0, 0, 0]

const say = (line: string) => void process.stdout.write(`${line}\n`)

function begin(count: number): void {
  begun += count
  mostUnsettled = Math.max(mostUnsettled, begun - settled)
}

async function drain(lane: Lane): Promise<void> {
  const held: Promise<void>[] = []
  while (!lane.lost.aborted && !ending.signal.aborted) {
    const batch = await lane.take(200, ending.signal)
    begin(batch.length)
    const settle = async () => {
      await lane.settle(batch)
      settled += batch.length
    }
    // What is held does not keep it from taking more, if there is any.
    if (isOpen) await settle()
    else held.push(gate.promise.then(settle))
  }
  await Promise.all(held)
}

async function consumePlain(): Promise<void> {
  const { url, topic, lanes, prefetch } = options
  const transport = await openTransport(url, {})
  if (!options.foreign) await transport.ensure([{ name: topic, lanes }], 'create')
  const laneOptions = { prefetch, patterns: [], start: 'earliest', lanes, member: 'm', signal: ending.signal } as const
  for await (const lane of transport.lanes?.([topic], 'held', laneOptions) ?? []) {
    joined += 1
    if (joined === lanes) say('ready')
    void drain(lane)
  }
}

async function consumeStored(store: string): Promise<void> {
  const { url, topic, lanes } = options
  const bridge = createBridge({
    store,
    registry: createRegistry([]),
    roles: ['handlers'],
    sinks: [{ name: 'broker', url, topic, lanes, start: 'earliest' }],
    consume: 'broker',
    handlers: [
      {
        name: 'held',
        on: ['**'],
        start: 'earliest',
        transaction: 'none',
        timeout: '10m',
        async handle() {
          begin(1)
          await gate.promise
          settled += 1
        },
      },
    ],
  })
  await bridge.start()
  say('ready')
}

let isOpen = !options.hold
if (isOpen) gate.resolve()
process.stdin.on('end', () => process.exit(0))
process.stdin.on('data', () => {
  isOpen = true
  gate.resolve()
})
void (options.store === undefined ? consumePlain() : consumeStored(options.store)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exit(70)
})
for (;;) {
  const residentMiB = process.memoryUsage().rss / 1024 ** 2
  const state: ConsumerState = { residentMiB, unsettled: begun - settled, mostUnsettled, settled }
  say(`at ${JSON.stringify(state)}`)
  await delay(100)
}
