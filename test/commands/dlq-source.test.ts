import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { read } from '../../src/commands/dlq/buried.ts'
import { watchOutcome } from '../../src/commands/dlq/watch-outcome.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { BuriedMessage, Lane, Received, Transport } from '../../src/transports/transport.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { createWorld, firstLanes, takeExactly } from '../transports/conformance/world.ts'
import { createNowhere, runHere } from './evt.ts'

interface Broken {
  readonly transport: Transport
  readonly topic: string
  readonly url: string
  readonly lane: Lane
  readonly evt: (...words: string[]) => ReturnType<typeof runHere>
}

type Place = 'memory' | 'redis' | 'kafka' | 'rabbitmq'

/** What names a dead-letter topic there, and the servers themselves. */
const places: Readonly<Record<Place, { server(): Promise<string>; urlOf(server: string, topic: string): string }>> = {
  memory: { server: async () => `memory://dlq-${randomUUID()}`, urlOf: (server, topic) => `${server}/${topic}` },
  redis: {
    server: () => serverUrl('redis'),
    urlOf: (server, topic) => `${server}/0?stream=${encodeURIComponent(topic)}`,
  },
  kafka: { server: () => serverUrl('kafka'), urlOf: (server, topic) => `${server}/${topic}` },
  rabbitmq: {
    server: () => serverUrl('rabbitmq'),
    urlOf: (server, topic) => `${server}?queue=${encodeURIComponent(topic)}`,
  },
}

/** Five messages, four of which the group `billing` gave up: three for one cause, one for another. */
async function fourBuried(place: Place): Promise<Broken> {
  const server = await places[place].server()
  const opened = await openTransport(server)
  const { capabilities } = opened
  await opened.close()
  const world = createWorld({ open: () => openTransport(server), capabilities }, 1)
  const { topic } = world
  const transport = await world.open()
  const letters = transport.deadLetters
  const [lane] = await firstLanes(world, transport, 1, { group: 'billing', patterns: ['*'] })
  if (lane === undefined || letters === undefined) throw new Error('no lane, or no dead letters')
  await world.publish(
    transport,
    world.messages(5, 5).map((message) => ({
      ...message,
      headers: { ...message.headers, 'ce-type': 'order.placed' },
    })),
  )
  const taken = await takeExactly(lane, 5)
  const burials = taken.slice(1).map((message, i) => ({
    message,
    group: 'billing',
    error: { class: i === 3 ? 'RangeError' : 'TypeError', message: `cannot bill order ${i}` },
    attempts: 3,
  }))
  await letters.bury(topic, burials, AbortSignal.timeout(5_000))
  await lane.settle(taken)
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const evt = (...words: string[]) => runHere(['dlq', ...words], { cwd: nowhere.path })
  return { transport, topic, url: places[place].urlOf(server, letters.nameOf(topic)), lane, evt }
}

for (const place of ['memory', 'redis', 'kafka', 'rabbitmq'] as const) {
  describe.skipIf(place !== 'memory' && !hasServer(place))(`dlq --source on ${place}`, () => {
    // RabbitMQ tells what waits, and not what consumers hold.
    const tellsSettled = place !== 'rabbitmq'

    it('groups the dead letters of a topic by cause, and lists them one by one', async () => {
      const { url, evt } = await fourBuried(place)
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
      const { url, evt, topic } = await fourBuried(place)
      const [letter] = JSON.parse((await evt('list', '-s', url, '--flat', '--json')).stdout).data.letters
      const { data } = JSON.parse((await evt('show', letter.id, '-s', url, '--json')).stdout)
      expect(data).toMatchObject({ id: letter.id, origin: { topic, group: 'billing' }, attempts: 3 })
      expect(data.event).toMatchObject({ type: 'order.placed', data: { key: 1, n: 1 } })
      expect((await evt('show', letter.id, '-s', url)).stdout).toContain(`is published to ${topic} again`)
      const none = await evt('show', 'nobody', '-s', url)
      expect(none).toMatchObject({ exit: 2, stderr: expect.stringContaining('cannot show dead letter nobody') })
    })

    it('plans off a terminal, and replays nothing without --yes', async () => {
      const { url, evt } = await fourBuried(place)
      expect(await evt('replay', '-s', url)).toMatchObject({ exit: 4 })
      const dry = await evt('replay', '-s', url, '--dry-run')
      expect(dry.stdout).toMatch(/^would replay 4 dead letters on /)
      expect(JSON.parse((await evt('list', '-s', url, '--json')).stdout).meta.deadLetters).toBe(4)
    })

    it('replays, watches the group, and says whether all were settled', async () => {
      const { url, evt, lane } = await fourBuried(place)
      const settling = (async () => lane.settle(await takeExactly(lane, 3)))()
      const where = ['--where', 'evt.error ~ "^Type"', '--settle', tellsSettled ? '3s' : '300ms']
      const ran = await evt('replay', '-s', url, ...where, '--yes', '--json')
      await settling
      const outcome = tellsSettled ? { settled: 3, unknown: 0 } : { settled: 0, unknown: 3 }
      expect(JSON.parse(ran.stdout).data).toMatchObject({ replayed: 3, deadAgain: 0, ...outcome })
      expect(ran.exit).toBe(tellsSettled ? 0 : 5)
      expect(JSON.parse((await evt('list', '-s', url, '--json')).stdout).meta.deadLetters).toBe(1)
    })

    it('counts what died again, and exits 1', async () => {
      const { url, evt, lane, topic, transport } = await fourBuried(place)
      const failing = (async () => {
        const taken = await takeExactly(lane, 4)
        const error = { class: 'TypeError', message: 'still' }
        const burials = taken.slice(0, 1).map((message) => ({ message, group: 'billing', error, attempts: 1 }))
        await transport.deadLetters?.bury(topic, burials, AbortSignal.timeout(5_000))
        await lane.settle(taken)
      })()
      const ran = await evt('replay', '-s', url, '--yes', '--settle', '3s')
      await failing
      const outcome = tellsSettled
        ? 'settled 3 (billing) · dead again 1'
        : 'settled 0 (billing) · dead again 1 · unknown 3'
      expect(ran).toMatchObject({ exit: 1, stdout: `replayed 4 · ${outcome}\n` })
    })

    it('counts what died again where --to sent it, by whichever group', async () => {
      const { url, evt, transport, topic } = await fourBuried(place)
      const other = createWorld({ open: async () => transport, capabilities: transport.capabilities }, 1)
      await transport.ensure([{ name: other.topic, lanes: 1 }], 'create')
      const [lane] = await firstLanes(other, transport, 1, { group: 'mailing', patterns: ['*'] })
      const failing = (async () => {
        const taken = lane ? await takeExactly(lane, 4) : []
        const error = { class: 'TypeError', message: 'still' }
        const burials = taken.slice(0, 2).map((message) => ({ message, group: 'mailing', error, attempts: 1 }))
        await transport.deadLetters?.bury(other.topic, burials, AbortSignal.timeout(5_000))
        await lane?.settle(taken)
      })()
      const ran = await evt('replay', '-s', url, '--to', other.topic, '--yes', '--settle', '3s')
      await failing
      const outcome = tellsSettled
        ? 'settled 2 (mailing) · dead again 2'
        : 'settled 0 (mailing) · dead again 2 · unknown 2'
      expect([ran.stdout, ran.exit, topic === other.topic]).toEqual([`replayed 4 · ${outcome}\n`, 1, false])
    })

    it('calls the outcome unknown when nobody takes them, and exits 5', async () => {
      const { url, evt } = await fourBuried(place)
      const ran = await evt('replay', '-s', url, '--yes', '--settle', '300ms')
      expect(ran).toMatchObject({ exit: 5, stdout: 'replayed 4 · settled 0 (billing) · dead again 0 · unknown 4\n' })
      expect(ran.stderr).toMatch(/billing (still lagged after 300ms|took them, and the server does not tell)/)
    })

    it('takes no live topic for one of dead letters, nor a name that is none, and moves nothing', async () => {
      const { evt, transport, topic, url } = await fourBuried(place)
      const live = url
        .replace(encodeURIComponent(transport.deadLetters?.nameOf(topic) ?? ''), topic)
        .replace(transport.deadLetters?.nameOf(topic) ?? '', topic)
      for (const words of [['list'], ['replay', '--to', topic, '--yes']]) {
        const ran = await evt(...words, '-s', place === 'rabbitmq' ? live.replace('?queue=', '?exchange=') : live)
        // Where graves lie apart from the topic, there is nothing to list.
        if (ran.exit === 0) expect(ran.stdout).toMatch(/^(no dead letters|nothing to replay)/)
        else
          expect(ran).toMatchObject({ stdout: '', stderr: expect.stringContaining('carry no mark of a dead letter') })
      }
      const misspelt = await evt('list', '-s', url.replace(/.$/, 'x'))
      expect([2, 4]).toContain(misspelt.exit)
      expect(misspelt.stderr).toMatch(/does not exist|there is no topic/)
      const nowhere = await evt('replay', '--to', 'nowhere-at-all', '--yes', '-s', url)
      expect(nowhere).toMatchObject({ exit: 2, stderr: expect.stringContaining('it does not exist') })
      expect(JSON.parse((await evt('list', '-s', url, '--json')).stdout).meta.deadLetters).toBe(4)
    })

    it('names ids that are not there', async () => {
      const { url, evt } = await fourBuried(place)
      const [letter] = JSON.parse((await evt('list', '-s', url, '--flat', '--json')).stdout).data.letters
      expect(await evt('replay', '-s', url, '--ids', 'x,y', '--yes')).toMatchObject({ exit: 2 })
      const some = await evt('replay', '-s', url, '--ids', `x,${letter.id}`, '--dry-run')
      expect(some.stderr).toContain('left out x')
      expect(some.exit).toBe(5)
    })
  })
}

describe.skipIf(!hasServer('kafka'))('dlq replay --source with a letter that does not say where it came from', () => {
  it('leaves it where it is, names it, replays the others and exits 5', async () => {
    const server = await serverUrl('kafka')
    const transport = await openTransport(server)
    onTestFinished(() => transport.close())
    const [origin, dead] = [`o-${randomUUID()}`, `d-${randomUUID()}-dlt`]
    await transport.ensure(
      [origin, dead].map((name) => ({ name, lanes: 1 })),
      'create',
    )
    const marked = { 'kafka_dlt-original-topic': origin, 'kafka_dlt-exception-message': 'broken' }
    const letter = (id: string, headers: Record<string, string>) => ({
      id,
      key: null,
      headers,
      body: Buffer.from('{}'),
    })
    const letters = [letter('1', marked), letter('2', {}), letter('3', marked)]
    await transport.publish(dead, letters, AbortSignal.timeout(5_000))
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    const words = ['dlq', 'replay', '--source', `${server}/${dead}`, '--all', '--yes', '--settle', '1ms']
    const done = await runHere([...words, '--json'], { cwd: nowhere.path })
    expect(JSON.parse(done.stdout).data).toMatchObject({ asked: 2, replayed: 2 })
    expect(done.exit).toBe(5)
    expect(done.stderr).toMatch(/left out \S+: it does not say which topic of \S+ it came from/)
    const alone = await runHere(words, { cwd: nowhere.path })
    expect([alone.exit, alone.stderr]).toEqual([2, expect.stringContaining('--to TOPIC')])
  })
})

describe('dlq replay --source with a letter whose data its publisher did not keep', () => {
  it('publishes nothing of it, says so, and leaves it where it is', async () => {
    const { transport, topic, evt, url } = await fourBuried('memory')
    const message = (id: string, headers: Readonly<Record<string, string>>) => ({
      message: {
        ...{ id, key: null, topic, at: '1', deliveries: 1, body: Buffer.from('null') },
        headers: { 'ce-id': id, 'ce-type': 'order.placed', ...headers },
      },
      ...{ group: 'publisher.shop', attempts: 1, error: { class: 'EvtError', message: 'data.n: expected number' } },
    })
    const letter = message('sealed', { 'evt-withheld': 'its contract encrypts' })
    await transport.deadLetters?.bury(topic, [letter], AbortSignal.timeout(5_000))
    const list = async () => JSON.parse((await evt('list', '--flat', '--json', '-s', url)).stdout).data.letters
    const id = (await list()).find(({ eventId }: { eventId: string }) => eventId === 'sealed').id
    expect((await evt('show', id, '-s', url)).stdout).toContain('its data was not kept (its contract encrypts)')
    expect(await evt('replay', '--ids', id, '-s', url, '--yes')).toMatchObject({
      exit: 4,
      stderr: expect.stringMatching(/^evt: cannot replay .*: the data was not kept when it was given up\nhint: /),
    })
    const ran = await evt('replay', '--all', '-s', url, '--yes', '--settle', '10ms')
    expect(ran).toMatchObject({ exit: 5, stdout: expect.stringMatching(/^replayed 4 /) })
    expect(ran.stderr).toContain(`left out ${id}: the data was not kept`)
    expect(await list()).toMatchObject([{ eventId: 'sealed' }])
  })
})

describe('dlq replay --source with letters of two groups', () => {
  const error = { class: 'TypeError', message: 'cannot mail' }

  /** Four letters of `billing`, and four of `mailing` of the same events. */
  async function twiceBuried() {
    const broken = await fourBuried('memory')
    const { transport, topic } = broken
    const letters = transport.deadLetters
    if (letters === undefined) throw new Error('no dead letters')
    const dead = letters.nameOf(topic)
    const bury = (message: Received, group: string) =>
      letters.bury(topic, [{ message, group, error, attempts: 1 }], AbortSignal.timeout(5_000))
    const lying: BuriedMessage[] = []
    for await (const batch of letters.list(dead, AbortSignal.timeout(5_000))) lying.push(...batch)
    for (const { message, origin } of lying)
      await bury({ ...message, topic, at: origin.at ?? '', deliveries: 1 }, 'mailing')
    return { ...broken, letters, dead, lying, bury }
  }

  it('counts as dead again no letter that lay there before, nor one of a group that was not meant', async () => {
    const { url, lane, evt, bury } = await twiceBuried()
    const settling = (async () => {
      const taken = await takeExactly(lane, 4)
      for (const message of taken.slice(0, 1)) await bury(message, 'mailing')
      await lane.settle(taken)
    })()
    const ran = await evt('replay', '-s', url, '--where', 'evt.handler == "billing"', '--yes', '--settle', '3s')
    await settling
    expect(ran).toMatchObject({ exit: 0, stdout: 'replayed 4 · settled 4 (billing) · dead again 0\n' })
  })

  it('counts two letters of one event that both came back as two', async () => {
    const { url, lane, evt, bury, lying } = await twiceBuried()
    const failing = (async () => {
      const taken = await takeExactly(lane, 2)
      for (const message of taken.slice(0, 1)) await Promise.all([bury(message, 'billing'), bury(message, 'mailing')])
      await lane.settle(taken)
    })()
    const where = `id == "${lying[0]?.message.id}"`
    const ran = await evt('replay', '-s', url, '--where', where, '--yes', '--settle', '3s')
    await failing
    expect(ran).toMatchObject({ exit: 1, stdout: 'replayed 2 · settled 0 (billing) · dead again 2\n' })
  })

  it('knows nothing of those that it could not look for to the end', async () => {
    const { transport, letters, dead, lying } = await twiceBuried()
    const { signal } = new AbortController()
    const stuck = {
      ...letters,
      // As of a broker that answers no more: a listing ends when it is aborted.
      async *list(_: string, aborted: AbortSignal): AsyncGenerator<readonly BuriedMessage[]> {
        yield []
        await once(aborted, 'abort')
      },
    }
    const replayed = lying.map((letter) => read(letter, dead).row)
    const origins = new Map(lying.map(({ id, origin }) => [id, origin]))
    const buried = { transport, letters: stuck, topic: dead, shown: dead, selection: {}, signal }
    const watched = { replayed, origins, before: new Set<string>(), settle: 1_000, signal, recountMs: 50 }
    expect(await watchOutcome(buried, watched)).toMatchObject({
      settled: 0,
      deadAgain: 0,
      why: expect.stringContaining('could not be read to the end'),
    })
  })
})

describe('dlq --source', () => {
  it('says what is wrong with a source that has no dead letters, or names none', async () => {
    const { evt } = await fourBuried('memory')
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
