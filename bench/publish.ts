// What the pipeline of a publisher costs an event of 300 bytes, with everything on but encryption, beside the bare minimum: fixing the
// bytes and a promise for each event. Both end in a transport that does nothing. `node bench/publish.ts [rounds]`.
import { z } from 'zod'
import { encodeAs } from '../src/core/codec/encode-as.ts'
import { encodeEvent } from '../src/core/codec.ts'
import { defineEvent } from '../src/core/define-event.ts'
import type { NewEvent } from '../src/core/event.ts'
import { planTopics } from '../src/core/layout.ts'
import { createRegistry } from '../src/core/registry.ts'
import { publishAll } from '../src/publish/publish-all.ts'
import { createTransportPublisher } from '../src/publish/transport-publisher.ts'
import type { Message, Published } from '../src/transports/transport.ts'

const rounds = Number(process.argv[2] ?? 7)
const count = 100_000
const made = defineEvent('bench.made', { 1: z.object({ n: z.number(), text: z.string() }) })
const text = 'x'.repeat(270)
const stored: Published = { state: 'stored' }
const transport = {
  ensure: async () => [],
  publish: async (_topic: string, batch: readonly Message[]) => batch.map(() => stored),
}

function* events(round: number): Generator<NewEvent> {
  const levels = ['critical', 'high', 'normal', 'low'] as const
  for (let n = 0; n < count; n++)
    yield {
      id: `bench-${round}-${n}`,
      type: 'bench.made',
      subject: `s/${n % 1_000}`,
      sequence: Math.floor(n / 1_000) + 1,
      priority: levels[n % 4] as 'critical',
      data: { n, text },
    }
}

async function bare(round: number): Promise<number> {
  const begin = performance.now()
  let batch: Message[] = []
  for (const event of events(round)) {
    const whole = { ...event, version: 1, source: 'bench', time: new Date().toISOString(), metadata: {} } as const
    const encoded = encodeEvent({ ...whole, id: event.id as string, priority: event.priority ?? 'normal' })
    batch.push({ id: encoded.id, key: encoded.subject ?? null, ...encodeAs('cloudevents', encoded) })
    if (batch.length < 500) continue
    await transport.publish('t', batch)
    batch = []
  }
  return ((performance.now() - begin) * 1_000) / count
}

async function piped(round: number): Promise<number> {
  const publisher = createTransportPublisher({
    transport,
    plan: planTopics({}),
    registry: createRegistry([made]),
    source: 'bench',
    onError() {},
    publish: {
      rate: '100m/s',
      duplicates: { by: 'id', count: 100_000 },
      sequence: { gaps: 'skip' },
      compress: '16kB',
    },
  })
  const begin = performance.now()
  const { published } = await publishAll(events(round), publisher.publish)
  const us = ((performance.now() - begin) * 1_000) / count
  if (published !== count) throw new Error(`only ${published} were published`)
  return us
}

const results: [bare: number, piped: number][] = []
for (let round = 0; round < rounds; round++) results.push([await bare(round), await piped(round)])
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number
const [bareUs, pipedUs] = [median(results.map(([one]) => one)), median(results.map(([, one]) => one))]
const overhead = median(results.map(([one, other]) => other - one))
process.stdout.write(
  `bare ${bareUs.toFixed(1)} µs, pipeline ${pipedUs.toFixed(1)} µs, overhead ${overhead.toFixed(1)} µs an event (${(pipedUs / bareUs).toFixed(2)} times), ` +
    `${Math.round(process.memoryUsage().rss / 1e6)} MB\n`,
)
