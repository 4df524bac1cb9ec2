// A bridge that knows what others had to park, delivers what was held until now, and builds a projection anew; to be killed:
// `node releasing-process.ts <URL>`. Says `loaded` and waits for a line on stdin. Ends with its parent.
import { setTimeout as wait } from 'node:timers/promises'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler, defineService, type HandlerContext } from '../../src/index.ts'
import { due, known, projection } from './releasing.ts'

interface Numbered {
  readonly id: string
  readonly subject?: string
  readonly data: { readonly sequence: number }
}

async function effect({ id, subject, data }: Numbered, ctx: HandlerContext): Promise<void> {
  await ctx.sql`insert into effects (id, subject, sequence) values (${id}, ${subject}, ${data.sequence})`
  // Long enough to be killed in the middle of it.
  await wait(2)
}

const service = defineService({
  name: 'faults',
  contracts: [known, due],
  handlers: [
    defineHandler({ name: 'faults.known', on: [known], start: 'earliest', handle: effect }),
    defineHandler({ name: 'faults.due', on: [due], start: 'earliest', handle: effect }),
  ],
  projections: [projection],
})
const bridge = createBridge({
  store: process.argv[2] ?? '',
  services: [service],
  registry: createRegistry([known, due]),
})
process.stdin.on('end', () => process.exit(0))
process.stdout.write('loaded\n')
process.stdin.once('data', () => void bridge.start())
