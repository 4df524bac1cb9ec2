import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openMemory } from '../../src/transports/memory/index.ts'
import type { Lane, Transport } from '../../src/transports/transport.ts'
import { createWorld, firstLanes, takeExactly } from '../transports/conformance/world.ts'
import { createNowhere, runHere } from './evt.ts'

interface Broken {
  readonly transport: Transport
  readonly url: string
  readonly lane: Lane
  readonly evt: (...words: string[]) => ReturnType<typeof runHere>
}

/** Five messages, four of which the group `billing` gave up: three for one cause, one for another. */
async function fourBuried(): Promise<Broken> {
  const place = `memory://dlq-${randomUUID()}`
  const world = createWorld(
    { open: async () => openMemory(place), capabilities: openMemory(place).capabilities, topic: () => 'orders' },
    1,
  )
  const transport = await world.open()
  await world.publish(
    transport,
    world.messages(5, 5).map((message) => ({
      ...message,
      headers: { ...message.headers, 'ce-type': 'order.placed' },
    })),
  )
  const [lane] = await firstLanes(world, transport, 1, { group: 'billing', patterns: ['*'] })
  if (lane === undefined) throw new Error('no lane')
  const taken = await takeExactly(lane, 5)
  const burials = taken.slice(1).map((message, i) => ({
    message,
    group: 'billing',
    error: { class: i === 3 ? 'RangeError' : 'TypeError', message: `cannot bill order ${i}` },
    attempts: 3,
  }))
  await transport.deadLetters?.bury('orders', burials, AbortSignal.timeout(5_000))
  await lane.settle(taken)
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const evt = (...words: string[]) => runHere(['dlq', ...words], { cwd: nowhere.path })
  return { transport, url: `${place}/orders:dlq`, lane, evt }
}

describe('dlq --source', () => {
  it('groups the dead letters of a topic by cause, and lists them one by one', async () => {
    const { url, evt } = await fourBuried()
    const causes = JSON.parse((await evt('list', '-s', url, '--json')).stdout).data.causes
    expect(causes).toMatchObject([
      { count: 3, handler: 'billing', type: 'order.placed', attempts: 9, error: 'TypeError: cannot bill order 2' },
      { count: 1, error: 'RangeError: cannot bill order 3' },
    ])
    const flat = await evt('list', '-s', url, '--flat', '--where', 'evt.error ~ "^Type"', '--limit', '2', '--json')
    const { data, meta } = JSON.parse(flat.stdout)
    expect(data.letters).toHaveLength(2)
    expect(meta).toMatchObject({ scanned: 2, matched: 2, stopped: '--limit' })
    expect((await evt('list', '-s', url, '--cause', causes[1].cause)).stdout).toMatch(/RangeError/)
  })

  it('shows one with what its grave says', async () => {
    const { url, evt } = await fourBuried()
    const [letter] = JSON.parse((await evt('list', '-s', url, '--flat', '--json')).stdout).data.letters
    const { data } = JSON.parse((await evt('show', letter.id, '-s', url, '--json')).stdout)
    expect(data).toMatchObject({ id: letter.id, origin: { topic: 'orders', group: 'billing' }, attempts: 3 })
    expect(data.event).toMatchObject({ type: 'order.placed', data: { key: 1, n: 1 } })
    expect((await evt('show', letter.id, '-s', url)).stdout).toMatch(/on replay +is published to orders again/)
    const none = await evt('show', 'nobody', '-s', url)
    expect(none).toMatchObject({ exit: 2, stderr: expect.stringContaining('cannot show dead letter nobody') })
  })

  it('plans off a terminal, and replays nothing without --yes', async () => {
    const { url, evt } = await fourBuried()
    expect(await evt('replay', '-s', url)).toMatchObject({ exit: 4 })
    const dry = await evt('replay', '-s', url, '--dry-run')
    expect(dry.stdout).toMatch(/^would replay 4 dead letters on memory:/)
    expect(JSON.parse((await evt('list', '-s', url, '--json')).stdout).meta.deadLetters).toBe(4)
  })

  it('replays, watches the group, and says that all were settled', async () => {
    const { url, evt, lane } = await fourBuried()
    const settling = (async () => lane.settle(await takeExactly(lane, 3)))()
    const ran = await evt('replay', '-s', url, '--where', 'evt.error ~ "^Type"', '--yes', '--json')
    await settling
    expect(JSON.parse(ran.stdout).data).toMatchObject({ replayed: 3, settled: 3, deadAgain: 0, unknown: 0 })
    expect(ran.exit).toBe(0)
    expect(JSON.parse((await evt('list', '-s', url, '--json')).stdout).meta.deadLetters).toBe(1)
  })

  it('counts what died again, and exits 1', async () => {
    const { url, evt, lane, transport } = await fourBuried()
    const failing = (async () => {
      const taken = await takeExactly(lane, 4)
      const error = { class: 'TypeError', message: 'still' }
      const burials = taken.slice(0, 1).map((message) => ({ message, group: 'billing', error, attempts: 1 }))
      await transport.deadLetters?.bury('orders', burials, AbortSignal.timeout(5_000))
      await lane.settle(taken)
    })()
    const ran = await evt('replay', '-s', url, '--yes')
    await failing
    expect(ran).toMatchObject({ exit: 1, stdout: 'replayed 4 · settled 3 (billing) · dead again 1\n' })
  })

  it('calls the outcome unknown when nobody takes them, and exits 5', async () => {
    const { url, evt } = await fourBuried()
    const ran = await evt('replay', '-s', url, '--yes', '--settle', '300ms')
    expect(ran).toMatchObject({ exit: 5, stdout: 'replayed 4 · settled 0 (billing) · dead again 0 · unknown 4\n' })
    expect(ran.stderr).toContain('billing still lagged after 300ms')
  })

  it('names ids that are not there', async () => {
    const { url, evt } = await fourBuried()
    const [letter] = JSON.parse((await evt('list', '-s', url, '--flat', '--json')).stdout).data.letters
    expect(await evt('replay', '-s', url, '--ids', 'x,y', '--yes')).toMatchObject({ exit: 2 })
    const some = await evt('replay', '-s', url, '--ids', `x,${letter.id}`, '--dry-run')
    expect(some.stderr).toContain('left out x')
    expect(some.exit).toBe(5)
  })

  it('says what is wrong with a source that has no dead letters, or names none', async () => {
    const { evt } = await fourBuried()
    for (const [url, exit, message] of [
      ['noop://', 2, 'noop keeps none'],
      ['memory://x', 2, 'it names no topic'],
      ['nonsense://x', 2, 'no transport for nonsense'],
    ] as const) {
      const ran = await evt('list', '-s', url)
      expect(ran.stderr).toContain(message)
      expect(ran.exit).toBe(exit)
    }
    expect((await evt('replay', '--to', 'x')).stderr).toContain('cannot use --to without --source')
  })
})
