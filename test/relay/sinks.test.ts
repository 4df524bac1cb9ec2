import { expect, test } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Message, Published, Transport } from '../../src/transports/transport.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { bySubject, commit, memoryUrl, readLogIds, readTopic, runSinks, sinkRow } from './sinking.ts'

const idsOf = (all: readonly { readonly id: string }[]) => all.map(({ id }) => id)

/** Changes what a transport does, for faults that no server gives on demand. */
const wrapped = (inner: Transport, over: Partial<Transport>): Transport =>
  Object.defineProperties(
    { ...over },
    Object.fromEntries(Object.entries(Object.getOwnPropertyDescriptors(inner)).filter(([name]) => !(name in over))),
  ) as Transport

/** As Kafka and RabbitMQ are: without a mark of its own. */
const withoutMark = async (url: string, over: Partial<Transport> = {}): Promise<Transport> => {
  const inner = await openTransport(url)
  return wrapped(inner, {
    capabilities: { ...inner.capabilities, ownMark: false, deduplicates: false },
    openLog: undefined as never,
    ...over,
  })
}

describeServers('sinks', (server) => {
  test('carry what is committed from now on, in the order of the log, and the store knows how far', async () => {
    const { store } = await createTestDatabase({ server })
    await commit(store, 10)
    const url = memoryUrl()
    // A first leader sequences what was there before the sink.
    const first = runSinks(store, [])
    await until(async () => (await readLogIds(store)).length === 10)
    await first.stop()
    const relay = runSinks(store, [{ name: 'out', url }])
    await until(async () => (await sinkRow(store, 'out')).position === 10n)
    const events = await commit(store, 1_200)
    const got = await readTopic(url, 'events', 1_200)
    expect(idsOf(got)).toEqual((await readLogIds(store)).slice(10))
    expect(new Set(idsOf(got))).toEqual(new Set(idsOf(events)))
    expect(got.map(({ log }) => log)).toEqual(got.map((_, i) => BigInt(i + 11)))
    await until(async () => (await sinkRow(store, 'out')).position === 1_210n)
    expect((await sinkRow(store, 'out')).topics).toEqual({ events: '10' })
    expect(relay.meters.get('out')).toMatchObject({ carried: 1_200, dead: 0 })
    expect(relay.messages).toContainEqual({
      level: 'info',
      message: 'a sink starts at the end of the log: what is there already is not carried to it',
      fields: expect.objectContaining({ sink: 'out', events: '10' }),
    })
    await relay.stop()
  })

  test('start at the earliest event when told so, choose by patterns, and spread by layout', async () => {
    const { store } = await createTestDatabase({ server })
    await commit(store, 20, { type: 'user.created' })
    await commit(store, 20, { type: 'order.placed' })
    const [all, some, types] = [memoryUrl(), memoryUrl(), memoryUrl()]
    runSinks(store, [
      { name: 'all', url: all, start: 'earliest' },
      { name: 'some', url: some, start: 'earliest', patterns: ['user.*'], topic: 'people' },
      { name: 'types', url: types, start: 'earliest', layout: 'per-type', prefix: 'events:' },
    ])
    expect(await readTopic(all, 'events', 40)).toHaveLength(40)
    expect(await readTopic(some, 'people', 20)).toHaveLength(20)
    expect(await readTopic(types, 'events:user.created', 20)).toHaveLength(20)
    expect(await readTopic(types, 'events:order.placed', 20)).toHaveLength(20)
    await until(async () => (await sinkRow(store, 'some')).position === 40n)
  })

  test.each(['latest', 'earliest'] as const)('carry what is committed while the broker is away (%s)', async (start) => {
    const { store } = await createTestDatabase({ server })
    const before = await commit(store, 10)
    const first = runSinks(store, [])
    await until(async () => (await readLogIds(store)).length === 10)
    await first.stop()
    const url = memoryUrl()
    let isAway = true
    const open = async () => {
      if (isAway) throw new EvtError('connect', 'cannot connect: nobody is there')
      return openTransport(url)
    }
    runSinks(store, [{ name: 'out', url, start }], { open })
    const position = start === 'latest' ? 10n : 0n
    await until(async () => (await sinkRow(store, 'out')).position === position)
    // What it has yet to get is kept.
    const { rows } = await store.query("select after from evt.needs where who = 'sink out'")
    expect(rows).toEqual([{ after: String(position) }])
    const after = await commit(store, 50)
    await until(async () => (await readLogIds(store)).length === 60)
    isAway = false
    const wanted = start === 'latest' ? after : [...before, ...after]
    const got = await readTopic(url, 'events', wanted.length)
    expect(new Set(idsOf(got))).toEqual(new Set(idsOf(wanted)))
  })

  test('send again what the store does not know to be there, and a sink that knows keeps it once', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    const first = runSinks(store, [{ name: 'out', url, start: 'earliest' }])
    await commit(store, 300)
    await readTopic(url, 'events', 300)
    await first.stop()
    // Killed between the append and the cursor.
    await store.query("update evt.sinks set position = 120 where name = 'out'")
    runSinks(store, [{ name: 'out', url }], { instance: 'b' })
    await commit(store, 100, { from: 300 })
    const got = await readTopic(url, 'events', 400)
    await until(async () => (await sinkRow(store, 'out')).position === 400n)
    expect(await readTopic(url, 'events')).toHaveLength(400)
    expect(idsOf(got)).toEqual(await readLogIds(store))
  })

  test('go on from what the sink still has when that is less than was carried', async () => {
    const { store } = await createTestDatabase({ server })
    const [before, after] = [memoryUrl(), memoryUrl()]
    const first = runSinks(store, [{ name: 'out', url: before, start: 'earliest' }])
    await commit(store, 200)
    await readTopic(before, 'events', 200)
    await until(async () => (await sinkRow(store, 'out')).position === 200n)
    await first.stop()
    // The same sink, as after FLUSHALL.
    const relay = runSinks(store, [{ name: 'out', url: after }], { instance: 'b' })
    expect(idsOf(await readTopic(after, 'events', 200))).toEqual(await readLogIds(store))
    expect(relay.messages.some(({ message }) => message.includes('gets that again'))).toBe(true)
  })

  test('refuse a topic that another log writes to', async () => {
    const [one, other] = [await createTestDatabase({ server }), await createTestDatabase({ server })]
    const url = memoryUrl()
    const first = runSinks(one.store, [{ name: 'out', url, start: 'earliest' }])
    await commit(one.store, 5)
    await readTopic(url, 'events', 5)
    await first.stop()
    const relay = runSinks(other.store, [{ name: 'out', url, start: 'earliest' }])
    await commit(other.store, 5)
    await until(() => relay.meters.get('out')?.waiting?.includes('another log') === true)
    expect(await readTopic(url, 'events')).toHaveLength(5)
  })

  test('hold neither each other nor the sequencer when one is dead', async () => {
    const { store } = await createTestDatabase({ server })
    const [good, revived] = [memoryUrl(), memoryUrl()]
    let dead = true
    const open = async ({ name, url }: { name: string; url: string }) => {
      if (name === 'dead' && dead) throw new EvtError('connect', 'cannot connect to nowhere: refused')
      return openTransport(url)
    }
    const relay = runSinks(
      store,
      [
        { name: 'dead', url: revived, start: 'earliest' },
        { name: 'good', url: good, start: 'earliest' },
      ],
      { open },
    )
    await commit(store, 600)
    expect(await readTopic(good, 'events', 600)).toHaveLength(600)
    expect(relay.meters.get('dead')?.waiting).toContain('nowhere')
    await until(() => relay.messages.some(({ message }) => message === 'a sink waits'))
    dead = false
    expect(idsOf(await readTopic(revived, 'events', 600))).toEqual(await readLogIds(store))
    // Told once, not at each try.
    expect(relay.messages.filter(({ message }) => message === 'a sink waits')).toHaveLength(1)
    expect(relay.meters.get('dead')?.waiting).toBeUndefined()
  })

  test('repeat exactly what was not stored where the sink has no mark', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    let failures = 0
    const open = async () => {
      const inner = await withoutMark(url)
      const publish: Transport['publish'] = async (topic, batch, signal) => {
        if (failures++ % 2 === 1) throw new EvtError('connect', 'cannot publish: the connection was lost')
        const half = Math.ceil(batch.length / 2)
        const stored = await inner.publish(topic, batch.slice(0, half), signal)
        const error = new EvtError('refused', 'cannot publish: out of memory')
        return [...stored, ...batch.slice(half).map((): Published => ({ state: 'refused', error }))]
      }
      return wrapped(inner, { publish })
    }
    runSinks(store, [{ name: 'out', url, start: 'earliest' }], { open })
    await commit(store, 40)
    const got = await readTopic(url, 'events', 40)
    expect(idsOf(got)).toEqual(await readLogIds(store))
    await until(async () => (await sinkRow(store, 'out')).position === 40n)
    expect(await readTopic(url, 'events')).toHaveLength(40)
  })

  test.each(['append', 'publish'])('bury what the sink refuses for good (%s), and nothing else', async (way) => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    const events = await commit(store, 60)
    const bad = new Set([events[7]?.id, events[8]?.id, events[41]?.id])
    /** A refusal takes what is behind it along, as in a lane or a transaction. */
    const refuse = (batch: readonly Message[]) => batch.findIndex(({ id }) => bad.has(id))
    const tooLarge = new EvtError('too-large', 'cannot publish: 20 MiB, the limit is 1 MiB')
    const some = async (
      batch: readonly Message[],
      send: (some: readonly Message[]) => Promise<readonly Published[]>,
    ) => {
      const at = refuse(batch)
      if (at < 0) return send(batch)
      return [
        ...(await send(batch.slice(0, at))),
        ...batch.slice(at).map((): Published => ({ state: 'refused', error: tooLarge })),
      ]
    }
    const open = async (): Promise<Transport> => {
      if (way === 'publish') {
        const inner = await withoutMark(url)
        return wrapped(inner, {
          publish: (topic, batch, signal) => some(batch, (now) => inner.publish(topic, now, signal)),
        })
      }
      const inner = await openTransport(url)
      return wrapped(inner, {
        async openLog(topic, epoch) {
          const log = await inner.openLog?.(topic, epoch)
          if (!log) throw new Error('no log')
          return {
            ...log,
            append: (batch, through, signal) =>
              some(batch, (now) =>
                log.append(now, now.length < batch.length ? (now.at(-1)?.log ?? 0n) : through, signal),
              ),
          }
        },
      })
    }
    const relay = runSinks(store, [{ name: 'out', url, start: 'earliest' }], { open })
    const got = await readTopic(url, 'events', 57)
    expect(idsOf(got)).toEqual((await readLogIds(store)).filter((id) => !bad.has(id)))
    await until(async () => (await sinkRow(store, 'out')).position === 60n)
    const { rows } = await store.query(
      'select handler, event_id, reason, error_message, position from evt.dead_letters order by position',
    )
    expect(rows.map((row) => row.event_id)).toEqual((await readLogIds(store)).filter((id) => bad.has(id)))
    expect(rows[0]).toMatchObject({ handler: 'sink:out', reason: 'non-retryable', error_message: tooLarge.message })
    expect(relay.meters.get('out')?.dead).toBe(3)
  })

  test.each(['unsupported', 'usage', 'refused', 'conflict'] as const)(
    'wait where the server is at fault and not the event (%s), and bury nothing',
    async (code) => {
      const { store } = await createTestDatabase({ server })
      const url = memoryUrl()
      let tries = 0
      const open = async () => {
        const inner = await withoutMark(url)
        return wrapped(inner, {
          publish: async (topic, batch, signal) => {
            tries += 1
            // As of a Redis that became a replica, a topic that was deleted, a key of another type.
            const error = new EvtError(code, 'cannot publish: it is a replica, which takes no writes')
            return tries < 5 ? batch.map(() => ({ state: 'refused', error })) : inner.publish(topic, batch, signal)
          },
        })
      }
      const relay = runSinks(store, [{ name: 'out', url, start: 'earliest' }], { open })
      await commit(store, 10)
      expect(await readTopic(url, 'events', 10)).toHaveLength(10)
      expect(relay.meters.get('out')?.dead).toBe(0)
      expect((await store.query('select from evt.dead_letters')).rows).toHaveLength(0)
    },
  )

  test('bury what has a type that no topic can be named after', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    const open = async () => {
      const inner = await openTransport(url)
      return wrapped(inner, {
        ensure: async (topics, mode) => {
          const bad = topics.find(({ name }) => /[^\w.-]/.test(name))
          if (bad) throw new EvtError('usage', `cannot make ${bad.name}: that is no name for a topic`)
          return inner.ensure(topics, mode)
        },
      })
    }
    const sink = { name: 'out', url, start: 'earliest', layout: 'per-type', prefix: 'events.' } as const
    const relay = runSinks(store, [sink], { open })
    await commit(store, 2, { type: 'größe.geändert' })
    await commit(store, 2, { type: 'user.created' })
    expect(await readTopic(url, 'events.user.created', 2)).toHaveLength(2)
    await until(() => relay.meters.get('out')?.dead === 2)
    await until(async () => (await sinkRow(store, 'out')).position === 4n)
  })

  test('try again what an operator replays, and say what became of it', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    const events = await commit(store, 10)
    const bad = new Set([events[3]?.id, events[5]?.id])
    const tooLarge = new EvtError('too-large', 'cannot publish: too large')
    const open = async () => {
      const inner = await withoutMark(url)
      return wrapped(inner, {
        publish: async (topic, batch, signal) => {
          const at = batch.findIndex(({ id }) => bad.has(id))
          const sent = await inner.publish(topic, at < 0 ? batch : batch.slice(0, at), signal)
          return batch.map((_, i) => sent[i] ?? { state: 'refused', error: tooLarge })
        },
      })
    }
    runSinks(store, [{ name: 'out', url, start: 'earliest' }], { open })
    await until(async () => (await sinkRow(store, 'out')).position === 10n)
    bad.delete(events[3]?.id)
    const { rows } = await store.query('select id from evt.dead_letters')
    await replayDeadLetters(store, { ids: rows.map(({ id }) => String(id)), replayId: 'r', by: 'test' })
    await until(async () => (await replayOutcome(store, 'r')).pending === 0)
    expect(await replayOutcome(store, 'r')).toMatchObject({ handled: 1, deadAgain: [{ count: 1 }] })
    expect(idsOf(await readTopic(url, 'events')).at(-1)).toBe(events[3]?.id)
    const left = await store.query(`select event_id, status, returned from evt.dead_letters where status <> 'replayed'`)
    expect(left.rows).toMatchObject([{ event_id: events[5]?.id, status: 'open', returned: 1 }])
  })

  test('stop when another leads: what a former leader still sends is fenced', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    let held: (() => void) | undefined
    const sent: string[][] = []
    // The first leader's batch hangs on its way, as that of a process that was stopped.
    const open = async (): Promise<Transport> => {
      const inner = await openTransport(url)
      return wrapped(inner, {
        async openLog(topic, epoch) {
          const log = await inner.openLog?.(topic, epoch)
          if (!log) throw new Error('no log')
          return {
            ...log,
            async append(batch, through, signal) {
              if (batch.length > 0 && held === undefined) await new Promise<void>((resolve) => (held = resolve))
              sent.push(idsOf(batch))
              return log.append(batch, through, signal)
            },
          }
        },
      })
    }
    const zombie = runSinks(store, [{ name: 'out', url, start: 'earliest' }], { open })
    await commit(store, 50)
    await until(() => held !== undefined)
    // Its lease ran out meanwhile.
    await store.query("update evt.relay set lease_until = clock_timestamp() - interval '1 s'")
    const lease = await acquireLease(store, 'b', 1)
    expect(lease).toBeDefined()
    runSinks(store, [{ name: 'out', url }], { instance: 'c' })
    expect(await readTopic(url, 'events', 50)).toHaveLength(50)
    held?.()
    await until(() => sent.length > 0)
    await commit(store, 50, { from: 50 })
    await until(async () => (await sinkRow(store, 'out')).position === 100n)
    expect(idsOf(await readTopic(url, 'events'))).toEqual(await readLogIds(store))
    await zombie.stop()
  })

  test('keep order by subject over many writers and leaders', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    let relay = runSinks(store, [{ name: 'out', url, start: 'earliest' }])
    for (let round = 0; round < 4; round += 1) {
      await commit(store, 300, { from: round * 300, subjects: 10 })
      await relay.stop()
      relay = runSinks(store, [{ name: 'out', url }], { instance: `r${round}` })
    }
    const got = await readTopic(url, 'events', 1_200)
    for (const own of bySubject(got).values())
      expect(own.map(({ body }) => JSON.parse(Buffer.from(body).toString()).n)).toEqual(own.map((_, i) => i + 1))
    expect(await readTopic(url, 'events')).toHaveLength(1_200)
  })

  test('keep retention from dropping what they have not carried', async () => {
    const { store } = await createTestDatabase({ server })
    const open = async () => {
      throw new EvtError('connect', 'cannot connect')
    }
    const relay = runSinks(store, [{ name: 'out', url: memoryUrl(), start: 'earliest' }], { open })
    await commit(store, 5)
    await until(async () => (await readLogIds(store)).length === 5)
    // A sink that never was there has no row yet: its first connection makes it.
    await relay.stop()
    const other = runSinks(store, [{ name: 'out', url: memoryUrl(), start: 'earliest' }], { instance: 'b' })
    await until(async () => (await sinkRow(store, 'out')).position === 5n)
    const { rows } = await store.query("select who, after from evt.needs where who = 'sink out'")
    expect(rows).toMatchObject([{ after: '5' }])
    await other.stop()
  })

  // Beside each other: most of their time is what evt waits.
  test.concurrent('say within seconds that a broker does not answer, and that it does again', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    const answered = Promise.withResolvers<void>()
    const inner = await openTransport(url)
    const publish: Transport['publish'] = (...given) => answered.promise.then(() => inner.publish(...given))
    const relay = runSinks(store, [{ name: 'out', url, start: 'earliest' }], {
      open: () => withoutMark(url, { publish }),
    })
    await commit(store, 1)
    await until(() => relay.meters.get('out')?.waiting === 'no answer for 3 s', { withinMs: 15_000 })
    answered.resolve()
    await until(() => relay.meters.get('out')?.waiting === undefined)
    expect(relay.messages.slice(1).map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'a sink waits'],
      ['info', 'a sink goes on'],
    ])
  })

  test.concurrent('are told to wait where another leads that does not carry them, once for each leader', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    const leader = runSinks(store, [], { instance: 'first' })
    await until(() => leader.leading)
    const standby = runSinks(store, [{ name: 'out', url }], {
      instance: 'second',
      sources: [{ name: 'in', url: 'memory://unused/chat' }],
    })
    const warnings = () =>
      standby.messages.filter(({ level, message }) => level === 'warn' && message.includes('leads'))
    await until(() => warnings().length === 1)
    expect(warnings()).toEqual([
      {
        level: 'warn',
        message: 'first leads and carries its own sinks; what waits here starts when this one leads',
        fields: { waits: 'sink out', hint: 'give the leader the same configuration' },
      },
    ])
    await leader.stop()
    await until(() => standby.leading)
    // Leadership is lost to one that says it carries the same.
    await store.query(`insert into evt.instances (instance, host, pid, version, roles, started_at, sample)
      values ('third', 'here', 1, '0', '{relay}', now(), '{"handlers": [], "sinks": [{"sink": "out"}]}')`)
    await store.query('update evt.relay set lease_until = clock_timestamp()')
    await acquireLease(store, 'third', 3_000)
    await until(() => !standby.leading)
    await store.query('update evt.relay set lease_until = clock_timestamp()')
    await until(() => standby.leading, { withinMs: 8_000 })
    expect(warnings()).toHaveLength(1)
    // And to one that does not.
    await store.query('update evt.relay set lease_until = clock_timestamp()')
    await acquireLease(store, 'fourth', 6_000)
    await until(() => warnings().length === 2, { withinMs: 8_000 })
    expect(warnings()[1]?.message).toContain('fourth leads')
  })

  test.concurrent('take no empty append for a word of how far the sink is', async () => {
    const { store } = await createTestDatabase({ server })
    const url = memoryUrl()
    let asked = 0
    const open = async () => {
      const inner = await openTransport(url)
      return wrapped(inner, {
        async openLog(topic, epoch) {
          const log = await inner.openLog?.(topic, epoch)
          if (!log) throw new Error('no log')
          return {
            ...log,
            mark: () => {
              asked += 1
              return log.mark()
            },
            // As of a log that wants its marks asked for first: it refuses all of nothing.
            append: async (batch, through, signal) => (batch.length === 0 ? [] : log.append(batch, through, signal)),
          }
        },
      })
    }
    const relay = runSinks(store, [{ name: 'out', url, start: 'earliest', patterns: ['thing.*'] }], { open })
    await commit(store, 5)
    await until(async () => (await sinkRow(store, 'out')).position === 5n)
    await commit(store, 5, { type: 'other.made' })
    await until(async () => (await sinkRow(store, 'out')).position === 10n)
    const before = asked
    await until(() => asked > before + 1, { withinMs: 8_000 })
    expect(relay.messages.filter(({ level }) => level === 'warn')).toEqual([])
  })
})
