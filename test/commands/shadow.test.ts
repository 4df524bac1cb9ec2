import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { createTestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'
import { sequence } from './sequence.ts'

const secrets = ['ada@planted.org', '47110815', 'former@planted.org', 'unmarked@planted.org']
const [email = '', , former, note = ''] = secrets
const pin = 47_110_815
const found = (text: string) => secrets.filter((secret) => text.toLowerCase().includes(secret))

const told = defineEvent('person.told', {
  1: z.object({
    email: sensitive(z.string(), { encrypt: true }),
    pin: sensitive(z.number()),
    isVip: sensitive(z.boolean()),
    note: z.string(),
    plan: z.string(),
  }),
})

const config = (src: string) => `
import { z } from 'zod'
import { defineEvent } from '${src}/core/define-event.ts'
import { sensitive } from '${src}/core/json-shape.ts'
const told = defineEvent('person.told', { 1: z.object({ email: sensitive(z.string(), { encrypt: true }), pin: sensitive(z.number()),
  isVip: sensitive(z.boolean()), note: z.string(), plan: z.string() }) })
const record = { name: 'people.record', on: [told], async handle({ data, id }, { sql, publish }) {
  const { email, pin, isVip, note, plan } = data
  const now = email
  if (plan === 'bad') throw new Error('cannot record ' + email.toUpperCase() + ' with ' + pin + ': ' + note)
  await sql\`insert into people (id, email, pin, is_vip, info) values (\${id}, \${email}, \${pin}, \${isVip}, \${{ it: 'to ' + email, note, plan }})\`
  await sql\`update people set email = \${now} where id = 'known'\`
  await publish({ type: 'mail.asked', data: { to: email, plan } })
} }
export default { privacy: { detect: 'mask' }, services: [{ name: 'people', contracts: [told], handlers: [record] }] }
`

it('a shadow run hides what is sensitive in rows, events and errors, also of two builds, and stands in the audit log', async () => {
  const { store, url } = await createTestDatabase()
  const masterKey = randomBytes(32).toString('base64')
  await store.query('create table people (id text primary key, email text, pin int, is_vip boolean, info jsonb)')
  await store.query('insert into people (id, email) values ($1, $2)', ['known', former])
  const publisher = createPublisher({ store, registry: createRegistry([told]), source: 'test', privacy: { masterKey } })
  onTestFinished(() => publisher.close())
  for (const plan of ['pro', 'bad'])
    await publisher.send({
      id: plan,
      type: 'person.told',
      subject: 'p/1',
      data: { email, pin, isVip: true, note, plan },
    })
  await sequence(store)
  const { path, dispose } = createNowhere()
  onTestFinished(dispose)
  symlinkSync(resolve('node_modules'), join(path, 'node_modules'))
  writeFileSync(join(path, '.gitignore'), 'node_modules')
  writeFileSync(join(path, 'evt.config.ts'), config(resolve('src')))
  const evt = (...words: string[]) =>
    runHere(['replay', '--handler', 'people.record', '--yes', ...words], {
      store: url,
      cwd: path,
      env: { EVT_MASTER_KEY: masterKey },
    })
  const audited = async () =>
    (await store.query('select verb, target, reason, affected::int from evt.audit order by id')).rows

  const text = await evt('--shadow', '--reason', 'looking')
  expect([text.exit, found(text.stdout + text.stderr)], text.stderr).toEqual([1, []])
  expect(text.stdout).toContain('failed: Error: cannot record *** with ***: ***')
  expect(text.stdout).toContain(
    '{"id":"pro","pin":"***","info":{"it":"to ***","note":"***","plan":"pro"},"email":"***","is_vip":"***"}',
  )
  expect(text.stdout).toContain('update public.people {"email":["***","*** (changed)"]}')
  expect(text.stdout).toContain('publish mail.asked {"to":"***","plan":"pro"}')
  const shadow = { verb: 'replay', target: 'shadow of people.record', affected: 2 }
  expect(await audited()).toEqual([{ ...shadow, reason: 'looking' }])

  expect(found((await evt('--shadow', '--json')).stdout)).toEqual([])
  expect(found((await evt('--shadow', '--json', '--reveal')).stdout)).toEqual(secrets)
  expect((await audited()).slice(1)).toEqual([
    { ...shadow, reason: null },
    { ...shadow, reason: null },
    { verb: 'reveal', target: 'shadow of people.record', reason: null, affected: 1 },
  ])
  expect(await evt('--reveal')).toMatchObject({ exit: 2, stderr: expect.stringContaining('--reveal without --shadow') })

  const git = (...words: string[]) =>
    execFileSync('git', ['-C', path, '-c', 'user.name=t', '-c', 'user.email=t@t', ...words], { stdio: 'pipe' })
  git('init', '-q')
  git('add', '.')
  git('commit', '-qm', 'one')
  const file = join(path, 'evt.config.ts')
  writeFileSync(file, readFileSync(file, 'utf8').replace('const now = email', "const now = 'x' + email"))
  process.env.EVT_MASTER_KEY = masterKey
  onTestFinished(() => void delete process.env.EVT_MASTER_KEY)
  const compared = await evt('--shadow', '--json', '--against', 'HEAD')
  expect(found(compared.stdout), compared.stderr).toEqual([])
  expect(JSON.parse(compared.stdout).data).toMatchObject({
    different: 1,
    differences: [{ where: ['public.people'], here: { position: '1' }, there: { rows: [{}, {}] } }],
  })
})
