import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Parser } from '@asyncapi/parser'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createNowhere, runHere } from './evt.ts'

describe('evt schema', () => {
  it('exports an AsyncAPI 3 document that its parser accepts, with who sends and who receives', async () => {
    const { stdout, exit } = await runHere(['schema', 'export', '--format', 'asyncapi'])
    expect(exit).toBe(0)
    const { document, diagnostics } = await new Parser().parse(stdout)
    expect(diagnostics.filter(({ severity }) => severity === 0)).toEqual([])
    expect(document?.version()).toBe('3.0.0')
    expect(
      document
        ?.channels()
        .all()
        .map((one) => one.address()),
    ).toContain('user.created')
    expect(document?.operations().filterByReceive().length).toBeGreaterThan(5)
  })

  it('finds in two exports what breaks whom, and ends with 1', async () => {
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    const { stdout } = await runHere(['schema', 'export'], { cwd: nowhere.path })
    mkdirSync(nowhere.path, { recursive: true })
    const old = join(nowhere.path, 'old.json')
    const next = join(nowhere.path, 'next.json')
    const file = JSON.parse(stdout)
    writeFileSync(old, stdout)
    delete file.types['user.created'].versions[2].properties.user_data.properties.email
    delete file.types['auth.login']
    writeFileSync(next, JSON.stringify(file))
    expect(await runHere(['schema', 'diff', old, '.'], { cwd: nowhere.path })).toMatchObject({ exit: 0 })
    const ran = await runHere(['schema', 'diff', old, next, '--json'], { cwd: nowhere.path })
    expect(ran.exit).toBe(1)
    expect(JSON.parse(ran.stdout).data.changes).toMatchObject([
      { path: 'auth.login', change: 'removed', breaking: 'both' },
      { path: 'user.created v2: data.user_data.email', change: 'removed', breaking: 'forwards' },
    ])
  })

  it('says what is wrong with what it is to compare', async () => {
    const bad = async (...words: string[]) => (await runHere(['schema', 'diff', ...words])).stderr
    expect(await bad('user.created@9', '.')).toMatch(
      /the configured services have no such contract[\s\S]*versions 1 to 2/,
    )
    expect(await bad('nowhere.json', '.')).toMatch(/cannot read .*nowhere\.json/)
    expect(await bad(join(import.meta.dirname, '../../package.json'), '.')).toMatch(/it holds no contracts/)
    expect(await bad('user.created@1', '.')).toMatch(/one is a version, the other all contracts/)
  })
})

describe('evt access print', () => {
  it.each([
    ['redis', /^ACL SETUSER icons on >PASSWORD/m],
    ['kafka', /^kafka-acls\.sh/],
    ['rabbitmq', /^rabbitmqctl set_permissions/],
    ['postgres', /^create role "icons" login/m],
  ])('writes the rules of %s, and names services that have none', async (target, text) => {
    const ran = await runHere(['access', 'print', '--for', target])
    expect(ran.stdout).toMatch(text)
    expect(ran.stderr).toMatch(/without rules of their own, so everything is allowed: icons/)
  })

  it('infers contracts of the versions that were recorded, in a file to import as it says', async () => {
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    mkdirSync(nowhere.path, { recursive: true })
    const path = (file: string) => join(nowhere.path, file)
    const evt = (...words: string[]) => runHere(words, { cwd: nowhere.path })
    const recorded = [3, 2, 3].map((evtversion, i) =>
      JSON.stringify({
        type: 'cart.filled',
        id: `${i}`,
        source: 's',
        time: '2026-01-01T00:00:00Z',
        specversion: '1.0',
        evtversion,
        data: { n: i },
      }),
    )
    writeFileSync(path('traffic.ndjson'), recorded.join('\n'))
    const ran = await evt('schema', 'infer', 'traffic.ndjson', '--write', 'carts.ts')
    expect(ran, ran.stderr).toMatchObject({ exit: 0 })
    const [, line] = /(import service from '.\/carts.ts'), services: \[service\]/.exec(ran.stderr) ?? []
    const root = resolve(import.meta.dirname, '../..')
    const here = readFileSync(path('carts.ts'), 'utf8')
      .replace("'evtctl'", JSON.stringify(join(root, 'src/index.ts')))
      .replace("'zod'", JSON.stringify(join(root, 'node_modules/zod/index.js')))
    writeFileSync(path('carts.ts'), here)
    writeFileSync(path('evt.config.ts'), `${line}\nexport default { services: [service] }\n`)
    const again = await evt('gen', '-f', path('traffic.ndjson'), '--dry-run')
    expect(again, again.stderr).toMatchObject({ exit: 0 })
    expect((await evt('gen', 'cart.filled', '--dry-run')).stdout).toContain('"evtversion":3')
    const alike = await runHere(['gen', '--learn', path('traffic.ndjson'), '--dry-run', '--count', '1'])
    expect(alike.stdout, alike.stderr).toContain('"evtversion":3')
  })
})
