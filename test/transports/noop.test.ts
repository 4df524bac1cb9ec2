import { expect, it } from 'vitest'
import { noopCapabilities, openNoop } from '../../src/transports/noop/index.ts'
import { closing } from './conformance/closing.ts'
import { createWorld } from './conformance/world.ts'

const setup = { open: async () => openNoop(), capabilities: noopCapabilities }

closing(setup)

it('takes everything, keeps nothing, and has no lanes', async () => {
  const world = createWorld(setup)
  const transport = await world.open()
  await world.publish(transport, world.messages(3, 1))
  expect(transport.lanes).toBeUndefined()
  expect(await transport.inspect([world.topic])).toEqual({ topics: [], groups: [] })
})

it('gives the same answer to batches of the same size, so that publishing allocates nothing', () => {
  const transport = openNoop()
  const world = createWorld(setup)
  const signal = new AbortController().signal
  const batch = world.messages(2, 1)
  expect(transport.publish('t', batch, signal)).toBe(transport.publish('u', batch, signal))
})

it('says unknown to an aborted publish', async () => {
  const world = createWorld(setup)
  const results = await openNoop().publish('t', world.messages(2, 1), AbortSignal.abort())
  expect(results.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
})
