import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { idOf } from '../../../src/bench/bridge/names.ts'
import { locateOnTransport } from '../../../src/bench/transport/locate.ts'
import { openMemory } from '../../../src/transports/memory/index.ts'

it('tells dead, open and lost events of a broker apart', async () => {
  const transport = openMemory(`memory://locate-${randomUUID()}`)
  onTestFinished(() => transport.close())
  const signal = AbortSignal.timeout(5_000)
  const options = { prefetch: 100, patterns: ['*'], start: 'earliest', lanes: 1, member: 'm', signal } as const
  const messages = [0, 1, 2, 3, 4].map((k) => ({
    id: idOf('r', k),
    key: 'a',
    headers: { 'ce-type': 'a.b' },
    body: Buffer.from('{}'),
  }))
  await transport.publish('t', messages, signal)
  const lanes = transport.lanes?.(['t'], 'g', options)[Symbol.asyncIterator]()
  const lane = (await lanes?.next())?.value
  const taken = await lane?.take(5, signal)
  // 0 is dead; 1 and 2 were settled and nobody handled them; 3 and 4 are still out.
  const [first] = taken ?? []
  if (!first) throw new Error('nothing was taken')
  const error = { class: 'E', message: 'm' }
  await transport.deadLetters?.bury('t', [{ message: first, group: 'g', error, attempts: 1 }], signal)
  await lane?.settle(taken?.slice(0, 3) ?? [])
  const where = await locateOnTransport(transport, { topic: 't', run: 'r', group: 'g', ks: [0, 1, 2, 3, 4] })
  expect(where).toEqual(['dead', 'lost', 'lost', 'open', 'open'])
  await lanes?.return?.()
})
