import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { findProjectFile, loadConfig } from '../../src/config/load.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'evt-config-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
})
function write(file: string, text: string): string {
  const path = join(root, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}
const load = (env: Record<string, string> = {}, flags = {}, file?: string) =>
  loadConfig({ cwd: root, env, flags, ...(file ? { file } : {}) })

/** As a file spells it. */
const variable = (name: string) => `\${${name}}`

describe('configuration', () => {
  it('names the module that throws when it is imported, not the file that imports it', async () => {
    const module = write('contracts/bad.ts', "throw new Error('contract boom')\n")
    const file = write('evt.config.ts', "import './contracts/bad.ts'\nexport default { services: [] }\n")
    await expect(load()).rejects.toMatchObject({
      code: 'config',
      message: `cannot read ${file}: ${module}, which it imports, throws: contract boom`,
      hint: expect.stringContaining(`node ${module}`),
    })
  })

  it('takes a flag before the environment, that before the project, that before the user, that before the default', async () => {
    const project = write('evt.config.yaml', 'store: postgres://project/db\nretryAttempts: 7\ngrace: 5s\n')
    const user = write('xdg/evt/config.yaml', 'store: postgres://user/db\nretryAttempts: 8\ngrace: 6s\ntimeout: 7s\n')
    const env = { XDG_CONFIG_HOME: join(root, 'xdg'), EVT_STORE: 'postgres://env/db', EVT_RETRY_ATTEMPTS: '9' }
    const config = await load(env, { store: { text: 'postgres://flag/db', flag: '--store' } })
    expect(config.get('store')).toEqual({ value: 'postgres://flag/db', origin: '--store' })
    expect(config.get('retryAttempts')).toEqual({ value: 9, origin: 'EVT_RETRY_ATTEMPTS' })
    expect(config.get('graceMs')).toEqual({ value: 5_000, origin: project })
    expect(config.get('timeoutMs')).toEqual({ value: 7_000, origin: user })
    expect(config.get('color')).toEqual({ value: 'auto', origin: 'default' })
    expect(config.files).toEqual([project, user])
  })

  it('understands the names of the seed systems, after its own', async () => {
    const config = await load({
      EVENT_RETRY_ATTEMPTS: '3',
      EVENT_TIMEOUT: '10',
      EVENT_LOG_LEVEL: 'WARNING',
      EVENT_PROCESSING_ENABLED: 'false',
      EVT_LOG_LEVEL: 'debug',
    })
    expect(config.get('retryAttempts').value).toBe(3)
    expect(config.get('timeoutMs').value).toBe(10_000)
    expect(config.get('logLevel')).toEqual({ value: 'debug', origin: 'EVT_LOG_LEVEL' })
    expect((await load({ EVENT_LOG_LEVEL: 'WARNING' })).get('logLevel').value).toBe('warn')
    expect(config.get('processing').value).toBe(false)
  })

  it('finds the nearest project file up to the git root, and none above it', () => {
    const above = write('evt.config.yaml', '')
    mkdirSync(join(root, 'checkout/.git'), { recursive: true })
    mkdirSync(join(root, 'checkout/packages/a'), { recursive: true })
    expect(findProjectFile(join(root, 'checkout/packages/a'))).toBeUndefined()
    const inside = write('checkout/evt.config.json', '{}')
    expect(findProjectFile(join(root, 'checkout/packages/a'))).toBe(inside)
    expect(findProjectFile(root)).toBe(above)
  })

  it('reads a TypeScript file, with services of the project in it', async () => {
    write(
      'evt.config.ts',
      "const name: string = 'billing'\nexport default { services: ['icons', { name }], grace: '3s' }\n",
    )
    const config = await load()
    expect(config.get('services').value).toMatchObject(['icons', { name: 'billing' }])
    expect(config.get('graceMs').value).toBe(3_000)
  })

  it('a flag or a variable chooses by name among the services of a file, and names any of evt only without one', async () => {
    const flags = (text: string) => ({ services: { text, flag: '--services' } })
    expect((await load()).get('services')).toEqual({ value: [], origin: 'default' })
    expect((await load({}, flags('icons'))).get('services').value).toEqual(['icons'])
    write('evt.config.mjs', "export default { services: [{ name: 'shop' }, { name: 'mail' }, 'icons'] }\n")
    expect((await load()).get('services').value).toHaveLength(3)
    expect((await load({}, flags('mail'))).get('services')).toEqual({ value: [{ name: 'mail' }], origin: '--services' })
    expect((await load({ EVT_SERVICES: 'icons,shop' })).get('services').value).toEqual([{ name: 'shop' }, 'icons'])
    const unknown = await load({}, flags('mial'))
    expect(() => unknown.get('services')).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringMatching(
          /^cannot use service mial \(--services\): .*evt\.config\.mjs has none of that name$/,
        ),
        hint: expect.stringContaining('mail'),
      }),
    )
  })

  it('fills in variables, and fails naming the one that is not set', async () => {
    const file = write('evt.config.yaml', `store: postgres://u:${variable('PGPASS')}@h/db\n`)
    expect((await load({ PGPASS: 'secret' })).get('store').value).toBe('postgres://u:secret@h/db')
    const config = await load()
    expect(() => config.get('store')).toThrow(`cannot use ${file}: store needs the variable PGPASS, which is not set`)
  })

  it.each([
    ['stor: postgres://h/db\n', 'stor'],
    ['retryAttempts: many\n', 'retryAttempts'],
    ['retryAttempts: 0\n', 'at least 1'],
    ['store: 5\n', 'store'],
    ['profiles: {a: {protected: true}}\n', 'profiles.a'],
    ['a: [\n', 'evt.config.yaml'],
  ])('refuses %j and says where', async (text, mention) => {
    write('evt.config.yaml', text)
    await expect(load()).rejects.toMatchObject({ code: 'config', message: expect.stringContaining(mention) })
  })

  it.each([
    [
      { alerts: [{ name: 'a', when: { count: 'a.b' } }] },
      /alerts\.0\.when\.atLeast is missing; alerts\.0\.when\.within is missing/,
      /./,
    ],
    [
      { alerts: [{ name: 'a', when: { missing: 'a.b', wihtin: '5m' } }] },
      /alerts\.0\.when: .*wihtin/,
      /did you mean within/,
    ],
    [{ retention: { keep: '60' } }, /retention.*keep: '60' is no number of whole days/, /60d/],
    [{ alerts: [{ name: 'a', when: 'handler.failedPerMinut > 1' }] }, /did you mean handler\.failedPerMinute/, /./],
    [{ servces: [] }, /the file: .*servces/, /did you mean services/],
    [{ whatever: 1 }, /the file: .*whatever/, /keys: store, profile/],
    [{ http: { prot: 80 } }, /http: .*prot/, /did you mean port/],
    [{ http: { port: '80' } }, /http\.port: expected number, received string/, /settings/],
  ])('says of %j what is wrong, and hints at that', async (content, message, hint) => {
    write('evt.config.json', JSON.stringify(content))
    const refused = await load().catch((error: unknown) => error)
    expect(refused).toMatchObject({
      code: 'config',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })

  it('says what is wrong with a file of code, and how its line is found', async () => {
    const path = write('evt.config.ts', 'export const store = 1\n')
    await expect(load()).rejects.toMatchObject({
      message: `cannot use ${path}: it has no default export`,
      hint: expect.stringContaining('export default'),
    })
    write('evt.config.ts', 'throw new Error("boom")\nexport default {}\n')
    await expect(load()).rejects.toMatchObject({
      message: `cannot read ${path}: boom`,
      hint: expect.stringContaining(`node ${path}`),
    })
    write('evt.config.ts', "export default { sinks: { cache: 'redis://x' } }\n")
    await expect(load()).rejects.toThrow("sinks: it is no list, as [{ name: 'cache', url: 'redis://host:6379/0' }]")
    write('evt.config.ts', 'export default { services: [{ name: 5 }] }\n')
    await expect(load()).rejects.toThrow('services.0.name: 5 is no name')
  })

  it('switches off what a file configures', async () => {
    write('evt.config.yaml', 'http: { port: 8080 }\n')
    expect((await load()).get('http').value).toEqual({ port: 8080 })
    expect((await load({ EVT_HTTP: 'off' })).get('http')).toEqual({ value: undefined, origin: 'EVT_HTTP' })
    await expect(load({ EVT_HTTP: 'none' })).rejects.toMatchObject({
      message: 'cannot use EVT_HTTP none: it is no port and no host:port',
      hint: expect.stringContaining('or off'),
    })
    await expect(load({ EVENT_STORE_TTL_DAYS: '0' })).rejects.toThrow(
      "cannot use EVENT_STORE_TTL_DAYS 0: '0' is no number",
    )
  })

  it('refuses a variable or a flag that cannot be read, naming it', async () => {
    await expect(load({ EVT_GRACE: 'soon' })).rejects.toThrow('cannot use EVT_GRACE soon: ')
    await expect(load({}, { color: { text: 'pink', flag: '--color' } })).rejects.toThrow('cannot use --color pink: ')
  })

  it('reads the file of --config in place of the project file, and refuses one that is not there', async () => {
    write('evt.config.yaml', 'grace: 1s\n')
    write('other.yaml', 'grace: 2s\n')
    expect((await load({}, {}, 'other.yaml')).get('graceMs').value).toBe(2_000)
    await expect(load({}, {}, 'missing.yaml')).rejects.toMatchObject({ code: 'config' })
  })
})

describe('profiles', () => {
  const file = [
    'store: postgres://local/db',
    'profiles:',
    `  prod: { store: "postgres://u:${variable('PROD')}@prod/db", protect: true }`,
    '  look: { store: postgres://look/db, readonly: true }',
    '',
  ].join('\n')

  it('is chosen by flag, environment or file, and says by which', async () => {
    write('evt.config.yaml', file)
    const byFlag = await load({ PROD: 'x', EVT_PROFILE: 'look' }, { profile: { text: 'prod', flag: '--profile' } })
    expect(byFlag.profile).toMatchObject({ name: 'prod', protect: true, byFlag: true, origin: '--profile' })
    expect(byFlag.get('store')).toEqual({ value: 'postgres://u:x@prod/db', origin: 'profile prod' })
    const byEnvironment = await load({ EVT_PROFILE: 'look' })
    expect(byEnvironment.profile).toMatchObject({ name: 'look', readonly: true, byFlag: false })
    expect(byEnvironment.get('store').value).toBe('postgres://look/db')
  })

  it('gives way to a store that was named as directly or more', async () => {
    write('evt.config.yaml', file)
    const named = await load({ EVT_PROFILE: 'look', EVT_STORE: 'postgres://env/db' })
    expect(named.get('store').value).toBe('postgres://env/db')
    const flagged = await load({ EVT_STORE: 'postgres://env/db' }, { profile: { text: 'look', flag: '--profile' } })
    expect(flagged.get('store').value).toBe('postgres://look/db')
  })

  it('counts before the plain keys of the file that chose it', async () => {
    write('evt.config.yaml', `profile: look\n${file}`)
    expect((await load()).get('store').value).toBe('postgres://look/db')
  })

  it('needs no variable of a profile that is not used', async () => {
    write('evt.config.yaml', file)
    expect((await load()).get('store').value).toBe('postgres://local/db')
    await expect(load({ EVT_PROFILE: 'prod' })).rejects.toThrow('profiles.prod.store needs the variable PROD')
  })

  it('refuses a name that no file defines, and lists those that are', async () => {
    write('evt.config.yaml', file)
    await expect(load({ EVT_PROFILE: 'toString' })).rejects.toMatchObject({
      code: 'config',
      hint: 'known profiles: prod, look',
    })
  })
})
