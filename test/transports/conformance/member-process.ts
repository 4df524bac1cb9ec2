// A member in a process of its own, to be killed or stopped by the suite. Says what it was handed, then does as it is told.
import { openTransport } from '../../../src/transports/registry.ts'
import type { Lane, Received } from '../../../src/transports/transport.ts'
import type { DoomedPlan } from './world.ts'

const [url = '', planText = ''] = process.argv.slice(2)
const plan: DoomedPlan = JSON.parse(planText)
const transport = await openTransport(url)
await transport.ensure([{ name: plan.topic, lanes: plan.options.lanes }], 'create')
const signal = new AbortController().signal
const lanes: Lane[] = []
const taken: Received[] = []

async function takeAll(lane: Lane): Promise<void> {
  while (taken.length < plan.take) {
    taken.push(...(await lane.take(plan.take - taken.length, signal)))
    // What comes alone stays alone for as long as it is not settled.
    if ((taken[0]?.deliveries ?? 1) > 1 && taken.length >= (plan.options.suspects ?? 1)) break
  }
  await lane.settle(taken.slice(0, plan.settle))
  process.send?.({ taken: taken.map(({ id, deliveries }) => ({ id, deliveries })) })
}

process.on('message', async () => {
  for (const lane of lanes) await lane.settle(taken)
  const deadline = performance.now() + 15_000
  while (lanes.some((lane) => !lane.lost.aborted) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  process.send?.({ lost: lanes.filter((lane) => lane.lost.aborted).length })
})

for await (const lane of transport.lanes?.([plan.topic], plan.group, { ...plan.options, signal }) ?? []) {
  lanes.push(lane)
  if (lanes.length === 1) void takeAll(lane)
}
