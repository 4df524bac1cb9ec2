// A member in a process of its own, for the storm: writes down what it has finished before it settles it, so that whoever reads the
// group's commits first and this file afterwards must find everything that is committed. Leaves in good order when it is told to.
import { appendFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { openTransport } from '../../../src/transports/registry.ts'
import type { Lane } from '../../../src/transports/transport.ts'

const [url = '', topic = '', group = '', file = ''] = process.argv.slice(2)
const transport = await openTransport(url)
const stopping = new AbortController()
process.once('message', () => stopping.abort())
process.once('disconnect', () => process.exit())

let batches = 0
async function work(lane: Lane): Promise<void> {
  while (!lane.lost.aborted && !stopping.signal.aborted) {
    const batch = await lane.take(5, stopping.signal)
    // Out of order, and some take longer than a rebalance.
    for (const message of batch.toReversed()) {
      await delay(++batches % 40 === 0 ? 300 : 1)
      appendFileSync(file, `${message.at} ${process.pid}\n`)
      await lane.settle([message])
    }
  }
  await lane.release()
}

const working: Promise<void>[] = []
const options = { prefetch: 15, patterns: [], start: 'earliest', lanes: 6, member: `${process.pid}` } as const
for await (const lane of transport.lanes?.([topic], group, { ...options, signal: stopping.signal }) ?? []) {
  working.push(work(lane))
  if (working.length === 1) process.send?.('working')
}
await Promise.all(working)
await transport.close()
process.disconnect?.()
