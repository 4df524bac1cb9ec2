import { randomBytes } from 'node:crypto'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { defineService } from '../../src/handle/define-service.ts'
import { createNowhere, runHere } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const secrets = ['planted-mail@example.org', 'planted-street-7', 'planted-card-4111', 'planted-note']
const [mail = '', street = '', card = '', note = ''] = secrets
const found = (text: string) =>
  secrets.filter((secret) =>
    [secret, encodeURIComponent(secret)].some((one) => text.toLowerCase().includes(one.toLowerCase())),
  )

const moved = defineEvent('person.moved', {
  1: z.object({
    city: z.string(),
    email: sensitive(z.string()),
    homes: z.array(z.object({ street: sensitive(z.string()) })),
    card: sensitive(z.string(), { encrypt: 'town/{city}' }),
    notes: z.record(z.string(), sensitive(z.string())),
  }),
})
const data = { city: 'Bern', email: mail, homes: [{ street }], card, notes: { n: note } }

/** The same contract as a configuration has it. */
const config = (src: string) => `
import { z } from 'zod'
import { defineEvent } from '${src}/core/define-event.ts'
import { sensitive } from '${src}/core/json-shape.ts'
const moved = defineEvent('person.moved', { 1: z.object({ city: z.string(), email: sensitive(z.string()),
  homes: z.array(z.object({ street: sensitive(z.string()) })), card: sensitive(z.string(), { encrypt: 'town/{city}' }),
  notes: z.record(z.string(), sensitive(z.string())) }) })
export default { services: [{ name: 'movers', contracts: [moved], handlers: [] }] }
`

describe('secrets that were planted in sensitive fields', () => {
  it('are in no log, no dead letter and no output of a command; with --reveal what is not encrypted is, and that is written down', async () => {
    const { store, url } = await createTestDatabase()
    const masterKey = randomBytes(32).toString('base64')
    const logged: string[] = []
    const note = (message: string, fields?: object) => void logged.push(`${message} ${JSON.stringify(fields)}`)
    const seen: unknown[] = []
    const service = defineService({
      name: 'movers',
      contracts: [moved],
      handlers: [
        defineHandler({
          name: 'movers.clumsy',
          on: [moved],
          start: 'earliest',
          retry: { attempts: 1 },
          handle(event) {
            seen.push(event.data)
            const { email, homes, card, notes } = event.data
            const asked = `GET /?mail=${encodeURIComponent(email)}&card=${String(card).toUpperCase()}`
            throw Object.assign(
              new Error(`cannot write to ${email} of ${homes[0]?.street} with ${card} (${notes.n}): ${asked}`),
              { name: `NotFound ${email}`, code: `of-${card}` },
            )
          },
        }),
      ],
    })
    const bridge = createBridge({
      store: url,
      services: [service],
      privacy: { masterKey },
      log: { debug: note, info: note, warn: note, error: note },
    })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const publisher = createPublisher({
      store,
      registry: createRegistry([moved]),
      source: 'test',
      privacy: { masterKey },
    })
    await publisher.publish(store, [{ type: 'person.moved', subject: 'user/1', data }])
    await expect(
      publisher.publish(store, [{ type: 'person.moved', subject: 'user/1', data: { ...data, city: mail.length } }]),
    ).rejects.toSatisfy((error: Error) => found(error.message).length === 0)
    await until(async () => (await store.query('select 1 from evt.dead_letters')).rows.length === 1)
    await until(() => logged.some((line) => line.includes('dead letter')))
    expect(seen).toEqual([data])
    const dead = JSON.stringify(
      (await store.query('select error_class, error_code, error_message, attempts from evt.dead_letters')).rows,
    )
    expect(dead).toContain('cannot write to *** of *** with *** (***): GET /?mail=***&card=***')
    expect(dead).toContain('"error_class":"NotFound ***","error_code":"of-***"')
    expect(found(dead)).toEqual([])
    await until(async () => /NotFound/.test(JSON.stringify((await store.query('select * from evt.instances')).rows)))
    expect(found(JSON.stringify((await store.query('select * from evt.instances')).rows))).toEqual([])
    expect(found(logged.join('\n'))).toEqual([])
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    mkdirSync(nowhere.path, { recursive: true })
    symlinkSync(resolve('node_modules'), join(nowhere.path, 'node_modules'))
    writeFileSync(join(nowhere.path, 'evt.config.ts'), config(resolve('src')))
    const evt = (...words: string[]) => runHere(words, { store: url, cwd: nowhere.path })
    const tail = ['tail', '--since', 'start', '--no-follow']
    const lines = [
      [...tail],
      [...tail, '-o', 'ndjson'],
      [...tail, '--json'],
      [...tail, '--fields', 'type,data.email,data.homes,data'],
      [...tail, '--wide', '--explain'],
      [...tail, '--report'],
      ['dlq', 'list'],
      ['dlq', 'list', '--flat', '--json'],
      ['dlq', 'show', '1'],
      ['dlq', 'show', '1', '--json'],
      ['parked', 'list', '--json'],
      ['dash', '--once'],
    ]
    for (const words of lines) {
      const ran = await evt(...words)
      expect([words.join(' '), ran.exit, found(ran.stdout + ran.stderr)]).toEqual([words.join(' '), 0, []])
    }
    const count = async () => Number((await store.query('select count(*) as n from evt.outbox')).rows[0]?.n)
    const before = await count()
    const plain = await evt('gen', 'person.moved', '--count', '2')
    expect(plain.stderr).toMatch(/its contract encrypts data\.card, and no master key is configured/)
    expect([plain.exit, await count()]).toEqual([2, before])
    const sealed = await runHere(['gen', 'person.moved', '--count', '2', '--set', 'data.card=planted-card-4111'], {
      store: url,
      cwd: nowhere.path,
      env: { EVT_MASTER_KEY: masterKey },
    })
    expect([sealed.exit, await count()]).toEqual([0, before + 2])
    expect(JSON.stringify((await store.query('select data::text from evt.outbox')).rows)).not.toContain(card)
    expect((await evt(...tail)).stdout).toContain('"city":"Bern","email":"***"')
    const revealed = await evt('dlq', 'show', '1', '--reveal')
    expect(found(revealed.stdout).sort()).toEqual([mail, secrets[3], street].sort())
    expect((await evt(...tail, '--reveal')).stdout).toContain(mail)
    expect((await store.query(`select verb, target from evt.audit where verb = 'reveal' order by id`)).rows).toEqual([
      { verb: 'reveal', target: 'dead letter 1' },
      { verb: 'reveal', target: 'tail the log' },
    ])
  })
})
